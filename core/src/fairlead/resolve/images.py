"""The image of a model's container: ``runtimeVersion`` as its tag, and the variants for and without a GPU."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["asks_for_gpu", "chosen", "pinned"]

_GPU: Final = "nvidia.com/gpu"
_SLICE: Final = "nvidia.com/mig"
_WITH_GPU: Final = frozenset({"tensorflow-serving", "torchserve", "huggingfaceserver"})
_WITHOUT_GPU: Final = "vllmserver"
_ZERO: Final = re.compile(r"[+-]?0*(\.0*)?")


def chosen(image: str, *, runtime_version: str | None, server_type: str | None, gpu: bool) -> str:
    """The image that runs, in place of the one that the runtime names.

    A digest is left alone. Else ``runtimeVersion`` becomes the tag, and that is all. Else servers with an image for
    GPUs get the tag's ``-gpu`` variant where the container asks for one, and vLLM's server the repository's ``-cpu``
    variant where it does not.

    Args:
        image: the image after runtime and InferenceService are merged.
        runtime_version: ``runtimeVersion``, where one is given.
        server_type: the server within the image, where it is known.
        gpu: whether the container asks for a GPU.
    """
    if pinned(image):
        return image
    repository, tag = _split(image)
    if runtime_version:
        return f"{repository}:{runtime_version}"
    if gpu and server_type in _WITH_GPU and not (tag or "").endswith("-gpu"):
        return f"{repository}:{tag or 'latest'}-gpu"
    if not gpu and server_type == _WITHOUT_GPU and not repository.endswith("-cpu"):
        return f"{repository}-cpu" + (f":{tag}" if tag else "")
    return image


def pinned(image: str) -> bool:
    """Whether an image is named by its digest, so that no tag can say another version."""
    return "@sha256:" in image


def asks_for_gpu(container: Mapping[str, Any]) -> bool:
    """Whether the limits of a container have an NVIDIA GPU, or a slice of one."""
    resources = container.get("resources")
    limits = resources.get("limits") if isinstance(resources, Mapping) else None
    if not isinstance(limits, Mapping):
        return False
    return any(
        (name == _GPU or name.startswith(_SLICE)) and _ZERO.fullmatch(str(amount)) is None
        for name, amount in limits.items()
    )


def _split(image: str) -> tuple[str, str | None]:
    """Repository and tag; a colon before the last slash belongs to the registry's port."""
    folder, slash, name = image.rpartition("/")
    name, colon, tag = name.partition(":")
    return f"{folder}{slash}{name}", tag if colon else None
