"""Models in images: a volume of the cluster's own, a sidecar that holds the image, or fetched as anything else.

The sidecar shows its files by a link to its root in ``/proc``, which the kernel follows for processes of the same user
only: whoever serves the model runs as the user that the sidecar runs as.
"""

from __future__ import annotations

import enum
import posixpath
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from fairlead import errors
from fairlead_operator.desired import wiring
from fairlead_operator.desired.model import Problem

if TYPE_CHECKING:
    from fairlead.resolve.service import Source
    from fairlead_operator.configuration.model import Modelcar, StorageInitializer

__all__ = ["CONDITION", "Mode", "mode", "problems", "wire_images", "wire_sidecars"]

CONDITION: Final = "OciImageVolumeCompatible"
"""The condition that is False where the cluster may not have volumes of images."""

_SCHEMES: Final = {"oci+native": "native", "oci+fetch": "fetch"}
_MOST: Final = 10
_FOLDER: Final = "models"
_SIDECARS: Final = (1, 29)
_FOR_EVER: Final = 2**31 - 1
_PATIENCE: Final = 300
_WHY: Final = (
    ((1, 31), "ImageVolumeUnsupported", "has no volumes of images", "are there since 1.31"),
    (
        (1, 33),
        "ImageVolumeSubPathUnsupported",
        "mounts volumes of images only whole",
        "can be mounted in part since 1.33",
    ),
    ((1, 35), "ImageVolumeAlpha", "has volumes of images behind the feature gate ImageVolume", "are on since 1.35"),
)
"""Before which version of Kubernetes what holds."""


class Mode(enum.StrEnum):
    """How a model in an image comes."""

    MODELCAR = "modelcar"
    NATIVE = "native"
    FETCH = "fetch"


def mode(uri: str, config: StorageInitializer) -> Mode | None:
    """How the model of an address comes; None for one that is in no image.

    Raises:
        Unresolvable: models in images are switched off.
    """
    scheme = uri.partition("://")[0].lower() if "://" in uri else ""
    if scheme in _SCHEMES:
        return Mode(_SCHEMES[scheme])
    if scheme != "oci":
        return None
    if config.oci_mode is None:
        raise errors.Unresolvable(
            "UnsupportedStorageUri",
            f"{uri[:120]}: models in images are switched off.",
            remedy="Set storageInitializer.ociModelMode in inferenceservice-config, or write oci+native:// or"
            " oci+fetch://.",
        )
    return Mode(config.oci_mode)


def problems(sources: Sequence[Source], config: StorageInitializer, version: tuple[int, int]) -> tuple[Problem, ...]:
    """What the cluster's version says against volumes of images, where there are any."""
    if not any(mode(each.uri, config) is Mode.NATIVE for each in sources):
        return ()
    for since, reason, lacks, when in _WHY:
        if version < since:
            text = f"Kubernetes {version[0]}.{version[1]} {lacks}, and a model is to be mounted as one. They {when};"
            return (Problem(CONDITION, reason, f"{text} before, set storageInitializer.ociModelMode to fetch."),)
    return ()


def wire_images(sources: Sequence[Source], made: wiring.Wiring) -> None:
    """Mount images as volumes."""
    _check_number(sources)
    for index, source in enumerate(sources):
        name = f"kserve-oci-model{_suffix(index, sources)}"
        made.volume(name, image={"reference": _reference(source)})
        made.mount(name, wiring.folder(source.mount_path), read_only=True, sub_path=_FOLDER)


def wire_sidecars(
    sources: Sequence[Source], config: Modelcar, pod: Mapping[str, Any], version: tuple[int, int], made: wiring.Wiring
) -> None:
    """Add a sidecar for each image, which links the image's models to where they are looked for.

    The sidecar is one that starts before the main containers where Kubernetes knows such.

    Raises:
        Unresolvable: two models would be linked in one folder, or one in the root folder.
    """
    _check_number(sources)
    paths = [wiring.folder(each.mount_path) for each in sources]
    parents = [posixpath.dirname(each) for each in paths]
    if "/" in parents or len(set(parents)) < len(parents):
        raise errors.Unresolvable(
            "InvalidStorageUris",
            f"Models of images are linked in the folders {', '.join(parents)}: each needs one of its own, below /.",
            remedy="Give mountPaths such as /mnt/a/model and /mnt/b/model, or write oci+fetch:// or oci+native://.",
        )
    user = _user(pod, config.uid)
    made.user |= user
    made.fields["shareProcessNamespace"] = True
    for index, (source, path, parent) in enumerate(zip(sources, paths, parents, strict=True)):
        suffix = _suffix(index, sources)
        volume = f"{wiring.PROVISION}{suffix}"
        made.volume(volume, emptyDir={})
        made.mount(volume, parent, read_only=True)
        image = _reference(source)
        quantities = {"cpu": config.cpu, "memory": config.memory}
        common = {
            "image": image,
            "imagePullPolicy": "IfNotPresent",
            "resources": {"requests": quantities, "limits": quantities},
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "FallbackToLogsOnError",
            "securityContext": {**wiring.restricted(user.get("runAsUser")), **user},
        }
        check = f'test -d /{_FOLDER} || {{ echo "The image has no folder /{_FOLDER}."; exit 1; }}'
        made.init.append({"name": f"modelcar-init{suffix}", **common, "command": ["sh", "-c", check]})
        sidecar = {
            "name": f"modelcar{suffix}",
            **common,
            "command": ["sh", "-c", _script(path)],
            "volumeMounts": [{"name": volume, "mountPath": parent}],
        }
        if version < _SIDECARS:
            made.beside.append(sidecar)
            made.env["MODEL_INIT_MODE"] = "async"
        else:
            probe = {
                "exec": {"command": ["test", "-d", wiring.literal(path)]},
                "periodSeconds": 1,
                "failureThreshold": _PATIENCE,
            }
            made.init.append({**sidecar, "restartPolicy": "Always", "startupProbe": probe})


def _script(path: str) -> str:
    return wiring.literal(f"ln -sfn /proc/$$/root/{_FOLDER} {shlex.quote(path)} && exec sleep {_FOR_EVER}")


def _user(pod: Mapping[str, Any], uid: int | None) -> dict[str, Any]:
    """Who the main containers and the sidecars run as: what the first main container or its pod says, else `uid`."""
    main = next(each for each in pod["containers"] if each["name"] in wiring.targets(pod))
    said = {**(pod.get("securityContext") or {}), **(main.get("securityContext") or {})}
    found = {key: said[key] for key in ("runAsUser", "runAsGroup") if said.get(key) is not None}
    return found if "runAsUser" in found or uid is None else {"runAsUser": uid, **found}


def _reference(source: Source) -> str:
    reference = source.uri.partition("://")[2]
    if not reference or any(letter.isspace() for letter in reference):
        raise errors.Unresolvable(
            "UnsupportedStorageUri",
            f"{source.uri[:120]!r} names no image.",
            remedy="For example: oci://registry/models/iris:1",
        )
    return reference


def _suffix(index: int, sources: Sequence[Source]) -> str:
    return f"-{index}" if len(sources) > 1 else ""


def _check_number(sources: Sequence[Source]) -> None:
    if len(sources) > _MOST:
        raise errors.Unresolvable(
            "InvalidStorageUris",
            f"{len(sources)} models in images are more than the {_MOST} that a pod may have.",
            remedy="Put several into one image, or write oci+fetch://.",
        )
