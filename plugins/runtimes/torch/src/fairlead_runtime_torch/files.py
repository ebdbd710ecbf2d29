"""What a file of PyTorch holds, told from its bytes: nothing of it runs, and PyTorch is not imported."""

from __future__ import annotations

import contextlib
import enum
import fnmatch
import importlib.metadata
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from fairlead import Artifact, errors
from fairlead_runtime_torch._plugin import FILES, TORCHSERVE

__all__ = [
    "SOURCE",
    "Form",
    "find",
    "find_safetensors",
    "form_of",
    "not_served",
    "recognises",
    "saved_with",
    "source_beside",
    "touches_files",
]

SOURCE: Final = "model.py"
"""The name of the Python file with the class of weights."""

_HEAD: Final = 16
"""Bytes from which the form of a file is told."""

_TEXT_LIMIT: Final = 64 * 1024 * 1024
"""Bytes of an archive's texts that are read; more than any model has, and fewer than a bomb."""

_LEGACY: Final = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""How files begin that torch.save wrote before version 1.6: a pickle of its magic number."""

_FILE_OPERATIONS: Final = re.compile(rb"\b(?:from_file|save|load_tensor|rpc_async|rpc_remote|rpc_sync)\b")
"""Operators of TorchScript that read or write files, or ask other machines."""

_TORCH_VERSION: Final = re.compile(rb'"torch_version"\s*:\s*"([0-9][^"]{0,60})"')

_PROGRAM: Final = re.compile(r"(?:[^/]+/)?(?:models/[^/]+\.json|serialized_exported_program\.json)")

_DAMAGE: Final = (zipfile.BadZipFile, ValueError, RuntimeError, EOFError, struct.error, zlib.error, lzma.LZMAError)
"""What zipfile raises of an archive with wrong bytes: in the names, the lengths, the compression or the content."""


class Form(enum.Enum):
    """The forms in which PyTorch models are saved; the value names it in messages."""

    EXPORTED = "a program of torch.export"
    COMPILED = "a package of AOTInductor"
    SCRIPT = "TorchScript"
    SAVED = "a file of torch.save"
    SAFETENSORS = "safetensors"
    TORCHSERVE = "an archive of TorchServe"


def find(artifact: Artifact) -> Path:
    """The one model file at the top level of an artefact.

    Raises:
        ModelLoadError: the artefact is one of TorchServe.
        ArtifactMissing: there is none.
        ArtifactAmbiguous: there are several.
    """
    archives = artifact.matching(TORCHSERVE)
    if archives and not artifact.matching(FILES):
        raise not_served(archives[0].name)
    return artifact.only(FILES)


def find_safetensors(artifact: Artifact) -> str | None:
    """The name of the one model file of an artefact, if it is one of safetensors; its other files may still arrive."""
    sizes = artifact.sizes()
    found = [each for each in sizes if "/" not in each and not each.startswith(".") and _is_model_file(each)]
    if len(found) != 1 or not found[0].endswith(".safetensors"):
        return None
    with artifact.open(found[0]) as file:
        return found[0] if _is_safetensors(file.read(_HEAD), sizes[found[0]]) else None


def _is_model_file(name: str) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in FILES)


def _is_safetensors(head: bytes, size: int) -> bool:
    return head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= size


def not_served(name: str) -> errors.ModelLoadError:
    """The error of an artefact that was packed for TorchServe."""
    return errors.ModelLoadError(
        f"{name} is packed for TorchServe, whose handlers are not served.",
        remedy="Give the address of the model file inside (a .mar archive is a zip file): TorchScript, a .pt2 program, "
        "or weights with the class beside them; what a handler did belongs into a transformer.",
    )


def form_of(path: Path) -> Form | None:
    """The form of a file; None for bytes of no form that is known.

    Raises:
        ModelLoadError: it begins as a zip archive and is none.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if head.startswith(_LEGACY):
        return Form.SAVED
    if _is_safetensors(head, path.stat().st_size):
        return Form.SAFETENSORS
    if not head.startswith(b"PK"):
        return None
    with _archive(path) as archive:
        return _form_of(archive.namelist())


def recognises(artifact: Artifact) -> bool:
    """Whether an artefact whose names match is for this runtime.

    Weights beside a class of Fairlead's own API belong to that class, and ``.safetensors`` files without any Python
    file to the library that wrote them.
    """
    found = artifact.matching((*FILES, *TORCHSERVE))
    forms = {each: _form_at_a_look(each) for each in found}
    sources = [each for each in artifact.entries() if each.suffix == ".py"] if artifact.path.is_dir() else []
    if any(form in (Form.SAVED, Form.SAFETENSORS) for form in forms.values()):
        is_other = any(b"CustomModel" in each.read_bytes() for each in sources)
        return not is_other and (bool(sources) or Form.SAVED in forms.values())
    return any(form is not None for form in forms.values())


def _form_at_a_look(path: Path) -> Form | None:
    if path.is_dir():
        return Form.TORCHSERVE
    try:
        return form_of(path)
    except errors.ModelLoadError:
        return Form.EXPORTED  # of some form, and damaged: the load says so


def saved_with(artifact: Artifact) -> Mapping[str, str]:
    """The version of PyTorch that wrote a program of torch.export; nothing for the other forms, which hold none.

    The build (``+cpu``, ``+cu128``) does not count: the installed version is returned where the rest is equal.
    """
    found = artifact.matching(("*.pt2", "*.pt", "*.pth"))
    if len(found) != 1:
        return {}
    try:
        with _archive(found[0]) as archive:
            texts = [_read(archive, each) for each in archive.infolist() if _PROGRAM.fullmatch(each.filename)]
    except (errors.ModelLoadError, OSError):
        return {}
    versions = [version for text in texts for version in _TORCH_VERSION.findall(text)]
    return {"torch": _as_installed(versions[-1].decode("ascii", "replace"))} if versions else {}


def touches_files(path: Path) -> bool:
    """Whether the code of a TorchScript file names an operator that reads or writes files, or asks other machines.

    Raises:
        ModelLoadError: it is damaged.
    """
    with _archive(path) as archive:
        code = [each for each in archive.infolist() if each.filename.endswith(".py")]
        if sum(each.file_size for each in code) > _TEXT_LIMIT:
            return True
        return any(_FILE_OPERATIONS.search(_read(archive, each)) for each in code)


def source_beside(path: Path) -> Path:
    """The Python file of a model's class: ``model.py``; no other runs, which may be the script that trained it.

    Raises:
        ModelLoadError: there is none.
    """
    source = path.with_name(SOURCE)
    if source.is_file():
        return source
    others = sorted(each.name for each in path.parent.glob("*.py"))
    beside = f"; {', '.join(others[:10])} there is not run" if others else ""
    raise errors.ModelLoadError(
        f"{path.name} holds weights alone, and no {SOURCE} with the model's class lies beside it{beside}.",
        remedy=f"Name the file of the class {SOURCE}, beside the weights; or save a program of torch.export, which "
        "needs none.",
    )


def _form_of(names: list[str]) -> Form | None:
    # The first folder is the archive's own name, which may be anything.
    inner = {name.partition("/")[2] if "/" in name else name for name in names} | set(names)
    if any(_PROGRAM.fullmatch(name) for name in names):
        return Form.EXPORTED
    if any(name.startswith("data/aotinductor/") for name in inner):
        return Form.COMPILED
    if "MAR-INF/MANIFEST.json" in inner:
        return Form.TORCHSERVE
    if "constants.pkl" in inner and any(name.startswith("code/") for name in inner):
        return Form.SCRIPT
    return Form.SAVED if "data.pkl" in inner else None


@contextlib.contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except _DAMAGE as error:
        what = str(error) if isinstance(error, zipfile.BadZipFile) else f"{type(error).__name__}: {error}"
        raise errors.ModelLoadError(
            f"{path.name} is a zip archive that is cut short or damaged ({what}).",
            remedy="Save the model again, or copy the file again.",
        ) from error


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    with archive.open(member) as file:
        return file.read(_TEXT_LIMIT)


def _as_installed(recorded: str) -> str:
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        installed = importlib.metadata.version("torch")
        if installed.partition("+")[0] == recorded.partition("+")[0]:
            return installed
    return recorded.partition("+")[0]
