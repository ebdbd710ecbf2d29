"""Which runtime serves an artefact, and why: by its files' names, and by what they hold where these are shared."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from fairlead import errors
from fairlead.contracts.runtime import fits
from fairlead.runtimes import pickles

if TYPE_CHECKING:
    from fairlead.contracts.runtime import Artifact, RuntimeSpec

__all__ = ["Choice", "Recognises", "by_names", "choose"]

_PICKLES: Final = (".joblib", ".pickle", ".pkl")

Recognises: TypeAlias = "Callable[[RuntimeSpec, Artifact], bool | None]"
"""Whether files are of a runtime's framework, by a look at them."""


@dataclasses.dataclass(frozen=True, slots=True)
class Choice:
    """The runtime that was chosen.

    Attributes:
        spec: the runtime.
        reason: why, as the end of a sentence: "runtime sklearn, because ...".
    """

    spec: RuntimeSpec
    reason: str


def choose(
    artifact: Artifact,
    runtimes: Mapping[str, RuntimeSpec],
    model_format: str | None = None,
    unusable: Mapping[str, errors.PluginError] | None = None,
    recognises: Recognises = lambda _spec, _artifact: None,
) -> Choice:
    """Choose the runtime for an artefact.

    A format that is asked for decides: the runtime of that name, or the one of highest priority that serves a format
    of that name. Without one, the file names decide among the runtimes that may be selected automatically; of several
    that they fit, those that find their own framework in the files, else those that do not look.

    Args:
        artifact: the model's files.
        runtimes: the usable runtimes, by name.
        model_format: the format or runtime that is asked for.
        unusable: runtimes that are installed and cannot be used, by name, with the reason.
        recognises: whether the files are of a runtime's framework; None for a runtime that does not look.

    Raises:
        FormatUnknown: none fits, or several fit equally well.
        PluginError: the one that is asked for cannot be used.
    """
    unusable = unusable or {}
    if model_format is not None:
        return _by_format(model_format, runtimes, unusable)
    matches = {
        spec.name: tuple(entry.name for entry in artifact.matching(spec.artifacts))
        for spec in runtimes.values()
        if _is_automatic(spec)
    }
    fitting = [runtimes[name] for name, names in matches.items() if names]
    if not fitting:
        raise _nothing_fits(artifact, runtimes, unusable)
    looked = {spec.name: recognises(spec, artifact) for spec in fitting}
    possible = [spec for spec in fitting if looked[spec.name] is not False]
    if not possible:
        raise _nobody_knows(artifact, {spec.name: matches[spec.name] for spec in fitting})
    equal = _best(possible, _automatic_priority)
    known = [spec for spec in equal if looked[spec.name]]
    best = known or equal
    if len(best) > 1:
        names = ", ".join(spec.name for spec in best)
        raise errors.FormatUnknown(
            f"Several runtimes take the files of {artifact.uri}: {names}.", remedy="Choose one with --format."
        )
    others = [spec.name for spec in possible if spec not in equal]
    reason = (
        f"because of {', '.join(matches[best[0].name][:3])}{' and what it holds' if len(equal) > len(best) else ''}"
    )
    if others:
        reason += f" (preferred by priority over {', '.join(others)})"
    return Choice(best[0], reason)


def by_names(
    names: Collection[str], runtimes: Mapping[str, RuntimeSpec], model_format: str | None = None
) -> Choice | None:
    """Choose the runtime for an artefact whose files are not here yet, as `choose` would.

    Args:
        names: the names of its files.
        runtimes: the usable runtimes, by name.
        model_format: the format or runtime that is asked for.

    Returns:
        None where none fits, or where the files have to be looked at first.
    """
    if model_format is not None:
        try:
            return _by_format(model_format, runtimes, {})
        except errors.FormatUnknown:
            return None
    entries = {name.partition("/")[0]: "/" in name for name in sorted(names) if not name.startswith(".")}
    fitting = {
        spec.name: found
        for spec in runtimes.values()
        if _is_automatic(spec)
        and (found := [name for name, folder in entries.items() if fits(name, spec.artifacts, folder=folder)])
    }
    if not fitting or any(runtimes[name].recognises is not None for name in fitting):
        return None
    best = _best([runtimes[name] for name in fitting], _automatic_priority)
    return Choice(best[0], f"because of {', '.join(fitting[best[0].name][:3])}") if len(best) == 1 else None


def _is_automatic(spec: RuntimeSpec) -> bool:
    return any(each.auto_select for each in spec.formats)


def _automatic_priority(spec: RuntimeSpec) -> int:
    return max(each.priority for each in spec.formats if each.auto_select)


def _by_format(name: str, runtimes: Mapping[str, RuntimeSpec], unusable: Mapping[str, errors.PluginError]) -> Choice:
    if name in runtimes:
        return Choice(runtimes[name], "because it was asked for")
    if name in unusable:
        raise unusable[name]
    serving = [spec for spec in runtimes.values() if any(each.name == name for each in spec.formats)]
    if not serving:
        known = ", ".join(sorted(runtimes)) or "none"
        raise errors.FormatUnknown(
            f"No installed runtime serves the format {name!r} (installed: {known}).",
            remedy=f"Install the wheel that does; by convention it is named fairlead-runtime-{name}.",
        )
    best = _best(serving, lambda spec: max(each.priority for each in spec.formats if each.name == name))
    if len(best) > 1:
        names = ", ".join(spec.name for spec in best)
        raise errors.FormatUnknown(
            f"Several runtimes serve the format {name!r}: {names}.", remedy="Choose one of them with --format."
        )
    return Choice(best[0], f"because it serves the format {name}")


def _best(specs: list[RuntimeSpec], rank: Callable[[RuntimeSpec], int]) -> list[RuntimeSpec]:
    highest = max(rank(spec) for spec in specs)
    return [spec for spec in specs if rank(spec) == highest]


def _nothing_fits(
    artifact: Artifact, runtimes: Mapping[str, RuntimeSpec], unusable: Mapping[str, errors.PluginError]
) -> errors.FormatUnknown:
    names = ", ".join(entry.name for entry in artifact.entries()[:10]) or "nothing"
    known = "; ".join(f"{spec.name}: {' '.join(spec.artifacts)}" for spec in runtimes.values()) or "none"
    return errors.FormatUnknown(
        f"No installed runtime takes the files of {artifact.uri} ({names}). Installed runtimes take: {known}."
        + "".join(f" One that might is not usable: {error}" for error in unusable.values()),
        remedy="Install the runtime of its format, by convention the wheel fairlead-runtime-<format>, or name one with "
        "--format.",
    )


def _nobody_knows(artifact: Artifact, matches: Mapping[str, Sequence[str]]) -> errors.FormatUnknown:
    """The error of files that runtimes take by their names, and find nothing of their own in."""
    files = dict.fromkeys(name for names in matches.values() for name in names)
    said = f"{', '.join(list(files)[:3])} in {artifact.uri} has a name that {', '.join(matches)} take"
    said += "s" if len(matches) == 1 else ""
    path = artifact.path if artifact.path.is_file() else artifact.path / next(iter(files))
    package = (pickles.outermost(path) or "").partition(".")[0] if path.suffix in _PICKLES else ""
    if package:
        return errors.FormatUnknown(
            f"{said}, and it is a pickle of {package}.",
            remedy=f"Install the runtime of {package}; by convention its wheel is named fairlead-runtime-{package}.",
        )
    return errors.FormatUnknown(
        f"{said}, and nothing of such a model is in it.",
        remedy="Check that it is whole, or install the runtime of its format; --format loads it all the same, and says "
        "what is wrong with it.",
    )
