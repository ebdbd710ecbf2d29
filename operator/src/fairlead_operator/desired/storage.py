"""Artefacts in pods: volumes that hold them, and the init container that fetches them.

An artefact in a claim is mounted, one in an image comes as the configuration says, and a path is left alone. All else
is fetched by one init container into one folder. No webhook looks at pods for that: it is written into their templates.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from fairlead import errors
from fairlead.resolve import access
from fairlead.resolve.service import MODEL_PATH
from fairlead_operator.desired import initializing, oci, wiring

if TYPE_CHECKING:
    from fairlead.resolve.service import ResolvedComponent, Source
    from fairlead_operator.desired.model import Problem, Surroundings

__all__ = ["problems", "wired"]

_CLAIM: Final = "pvc://"
_CLAIM_VOLUME: Final = "kserve-pvc-source"
_LONGEST_NAME: Final = 63
_DIGEST: Final = 8


def wired(pod: Mapping[str, Any], component: ResolvedComponent, surroundings: Surroundings) -> dict[str, Any]:
    """A pod with what its component's artefacts need.

    Args:
        pod: a PodSpec: of the component, or of its workers.
        component: the component.
        surroundings: what it is rendered in.

    Returns:
        Another PodSpec; the one that is given stays.

    Raises:
        Unresolvable: the artefacts cannot be put where they have to be.
    """
    config, made = surroundings.config.storage, wiring.Wiring()
    read_only = wiring.mounts_read_only(component.annotations)
    modes = [oci.mode(each.uri, config) for each in component.sources]
    of_mode = {
        mode: [source for source, each in zip(component.sources, modes, strict=True) if each is mode]
        for mode in oci.Mode
    }
    claims = [each for each in component.sources if each.uri.lower().startswith(_CLAIM)]
    fetched = [
        each
        for each, mode in zip(component.sources, modes, strict=True)
        if mode in (None, oci.Mode.FETCH) and access.needs_credentials(each.uri)
    ]
    _wire_claims(claims, made, read_only=read_only)
    if of_mode[oci.Mode.NATIVE]:
        oci.wire_images(of_mode[oci.Mode.NATIVE], made)
    if of_mode[oci.Mode.MODELCAR]:
        oci.wire_sidecars(of_mode[oci.Mode.MODELCAR], config.modelcar, pod, surroundings.version, made)
    if fetched:
        _wire_fetched(fetched, component, surroundings, made, read_only=read_only)
    return made.applied(pod)


def problems(component: ResolvedComponent, surroundings: Surroundings) -> tuple[Problem, ...]:
    """What the cluster may not be able to do for the artefacts of a component."""
    return oci.problems(component.sources, surroundings.config.storage, surroundings.version)


# -- claims -----------------------------------------------------------------------------------------------


def _wire_claims(sources: Sequence[Source], made: wiring.Wiring, *, read_only: bool) -> None:
    """Mount claims, each at its folder; one that several artefacts are in is one volume."""
    claims = list(dict.fromkeys(_claim(each)[0] for each in sources))
    for source in sources:
        claim, inside = _claim(source)
        suffix = f"-{claims.index(claim)}" if len(claims) > 1 else ""
        made.volume(f"{_CLAIM_VOLUME}{suffix}", persistentVolumeClaim={"claimName": claim})
        made.mount(f"{_CLAIM_VOLUME}{suffix}", wiring.folder(source.mount_path), read_only=read_only, sub_path=inside)


def _claim(source: Source) -> tuple[str, str]:
    """The claim that an address names, and the path in it."""
    claim, _, inside = source.uri[len(_CLAIM) :].partition("/")
    parts = [each for each in inside.split("/") if each not in ("", ".")]
    if not claim or ".." in parts:
        raise errors.Unresolvable(
            "UnsupportedStorageUri",
            f"{source.uri[:120]!r} names no {'path within a claim' if claim else 'claim'}.",
            remedy="For example: pvc://models/iris",
        )
    return claim, "/".join(parts)


# -- what is fetched --------------------------------------------------------------------------------------


def _wire_fetched(
    sources: Sequence[Source],
    component: ResolvedComponent,
    surroundings: Surroundings,
    made: wiring.Wiring,
    *,
    read_only: bool,
) -> None:
    """Fetch artefacts into one volume, at the folder that all of theirs have in common."""
    common = posixpath.commonpath([wiring.folder(each.mount_path) for each in sources])
    if common == "/":
        raise errors.Unresolvable(
            "InvalidStorageUris",
            "The folders of what is fetched have none in common but /.",
            remedy="Place them below one, such as /mnt.",
        )
    name = wiring.PROVISION if common == MODEL_PATH else _volume_name(common)
    container = initializing.container(sources, component, surroundings, made)
    container["volumeMounts"] = [{"name": name, "mountPath": common}, *(container.get("volumeMounts") or ())]
    made.volume(name, emptyDir={})
    made.mount(name, common, read_only=read_only)
    made.init.append(container)


def _volume_name(path: str) -> str:
    """A volume's name for a folder; where letters are lost, with a digest of what it was."""
    plain = path.strip("/").replace("/", "-")
    name = re.sub(r"[^a-z0-9-]", "-", plain.lower()).strip("-")
    if name == plain and len(name) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(path.encode()).hexdigest()[:_DIGEST]
    return f"{name[: _LONGEST_NAME - _DIGEST - 1].strip('-')}-{digest}".lstrip("-")
