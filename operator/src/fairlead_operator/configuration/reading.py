"""The configuration that counts for one service: the cluster's, with what its namespace and the service lay over it."""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from fairlead_operator.configuration import assembling, levels
from fairlead_operator.configuration.fields import BY_PATH, FIELDS, OVERRIDES
from fairlead_operator.configuration.levels import Level, Said
from fairlead_operator.configuration.rules import RULES
from fairlead_operator.desired.model import Problem

if TYPE_CHECKING:
    from fairlead_operator.configuration.model import OperatorConfig

__all__ = ["CONDITION", "Configured", "Decided", "decided", "read"]

CONDITION: Final = "ConfigurationReady"
"""The type of the condition that tells problems of the configuration."""

_INVALID: Final = "InvalidConfiguration"
_REFUSED: Final = "OverrideRefused"


@dataclasses.dataclass(frozen=True, slots=True)
class Configured:
    """What was read.

    Attributes:
        config: what counts; where something is wrong, with the value of the level below in its place.
        problems: what is wrong.
        notes: what is said and has no effect here, each in a sentence.
    """

    config: OperatorConfig
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Decided:
    """Every field, with who decided it.

    Attributes:
        values: what each field with an effect comes to, by its path.
        levels: who decided that.
        problems: what is wrong.
        notes: what is said and has no effect.
    """

    values: Mapping[str, Any]
    levels: Mapping[str, Level]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]


def read(
    cluster: Mapping[str, str] | None, namespace: Mapping[str, str] | None, annotations: Mapping[str, str]
) -> Configured:
    """The configuration that counts for one service. Nothing that it is given makes it raise.

    Args:
        cluster: ``data`` of the ConfigMap in the operator's namespace; None where there is none.
        namespace: ``data`` of the ConfigMap of the same name in the service's namespace.
        annotations: those of the InferenceService.
    """
    found = decided(cluster, namespace, annotations)
    config = assembling.assembled(found.values)
    own = [name for name in annotations if name.startswith(levels.PREFIX)]
    if own:  # they configure objects, and on pods each change of one would be a rollout
        disallowed = config.resolve.disallowed_annotations.union(own)
        config = dataclasses.replace(
            config, resolve=dataclasses.replace(config.resolve, disallowed_annotations=disallowed)
        )
    return Configured(config, found.problems, found.notes)


def decided(
    cluster: Mapping[str, str] | None, namespace: Mapping[str, str] | None, annotations: Mapping[str, str]
) -> Decided:
    """What every field comes to, and who decided it; the arguments are those of `read`."""
    said = (
        levels.of_config_map(Level.CLUSTER, cluster),
        levels.of_config_map(Level.NAMESPACE, namespace),
        levels.of_annotations(annotations),
    )
    problems = [Problem(CONDITION, _INVALID, text) for each in said for text in each.problems]
    values = {field.path: field.unsaid() for field in FIELDS if field.effect}
    deciders = dict.fromkeys(values, Level.DEFAULT)
    for each in said:
        problems += _restricted(each, _patterns(said[0], each.level))
        for path, value in each.values.items():
            if path in values:
                values[path], deciders[path] = value, each.level
    problems += _reconciled(values, deciders)
    return Decided(values, deciders, tuple(problems), tuple(_notes(said)))


# -- who may say what -----------------------------------------------------------------------------------


def _patterns(cluster: Said, level: Level) -> tuple[str, ...]:
    """What a level may lay over: nothing, where the cluster says that in a way that cannot be read."""
    if level is Level.CLUSTER:
        return ("*",)
    path = OVERRIDES[level]
    if any(each.partition(".")[0] == BY_PATH[path].key for each in cluster.refused):
        return ()
    patterns: tuple[str, ...] = cluster.values.get(path, BY_PATH[path].unsaid())
    return patterns


def _restricted(said: Said, patterns: Iterable[str]) -> Iterator[Problem]:
    """Take out what a level may not say, and tell it. What has no effect needs no permission."""
    folded = [each.lower() for each in patterns]
    for path in [each for each in said.values if said.level is not Level.CLUSTER]:
        if BY_PATH[path].cluster_only:
            rule = "only the cluster's ConfigMap may say it"
        elif BY_PATH[path].effect and not any(fnmatch.fnmatchcase(path.lower(), each) for each in folded):
            rule = f"{OVERRIDES[said.level]} in the ConfigMap of the cluster does not allow it"
        else:
            continue
        del said.values[path]
        text = f"{said.where(path)} does not count: {rule}. Take it out, or ask who runs the cluster."
        yield Problem(CONDITION, _REFUSED, text)


# -- what has to be together ----------------------------------------------------------------------------


def _reconciled(values: dict[str, Any], deciders: dict[str, Level]) -> Iterator[Problem]:
    """Give fields that contradict each other their defaults, and tell it."""
    for rule in RULES:
        why = rule.broken(values)
        if why is None:
            continue
        for path in rule.paths:
            values[path], deciders[path] = BY_PATH[path].unsaid(), Level.DEFAULT
        names = " and ".join(rule.paths)
        yield Problem(CONDITION, _INVALID, f"{why} The default of {names} counts in place of it.")


def _notes(said: Iterable[Said]) -> Iterator[str]:
    """What is said and has no effect: one sentence for each level, key and reason."""
    for each in said:
        groups: dict[tuple[str, str], list[str]] = {}
        for path in each.values:
            field = BY_PATH[path]
            if not field.effect:
                groups.setdefault((field.key, field.meaning), []).append(field.name)
        for (key, why), names in groups.items():
            yield f"{key} of the {each.level} has fields without an effect, {', '.join(names)}: {why}."
