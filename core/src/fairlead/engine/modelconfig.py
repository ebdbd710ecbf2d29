"""``fairlead.json``: what is set for one model alone, in a file beside its own."""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fairlead import errors
from fairlead.contracts.runtime import CONFIG_FILE
from fairlead.settings import ByteSize

if TYPE_CHECKING:
    from fairlead.contracts.runtime import SettingValue
    from fairlead.settings import ServerSettings

__all__ = ["KEYS", "ModelConfig", "read"]

_MOST_BYTES: Final = 64 * 1024
_LIMITS: Final = ("max_queue_size", "max_batch_size", "max_batch_delay", "request_timeout")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """What one model's file says; None where it says nothing, and the server's own setting holds.

    Attributes:
        model_format: the format or runtime.
        options: settings of the runtime's own.
        memory: bytes that the model takes, in place of a measure.
        max_queue_size: requests that may wait for the model.
        max_batch_size: rows that are joined to one call.
        max_batch_delay: seconds to wait for a batch to fill.
        request_timeout: seconds within which a request is answered; 0 for any.
        pinned: whether it is never evicted.
        preload: whether it is loaded at start, also where models are loaded on demand.
    """

    model_format: str | None = None
    options: Mapping[str, SettingValue] = dataclasses.field(default_factory=dict)
    memory: int | None = None
    max_queue_size: int | None = None
    max_batch_size: int | None = None
    max_batch_delay: float | None = None
    request_timeout: float | None = None
    pinned: bool = False
    preload: bool = False

    def over(self, settings: ServerSettings) -> ServerSettings:
        """The server's settings with this model's limits in place of its own."""
        own = {name: getattr(self, name) for name in _LIMITS if getattr(self, name) is not None}
        return dataclasses.replace(settings, **own) if own else settings


def read(path: Path) -> ModelConfig:
    """Read the file of a model.

    Args:
        path: the model's folder; a model that is one file has no such file.

    Raises:
        ConfigurationError: the file is there, and is wrong.
    """
    file = path / CONFIG_FILE
    try:
        with file.open("rb") as opened:
            text = opened.read(_MOST_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return ModelConfig()
    except OSError as error:
        raise errors.ConfigurationError(f"{file} cannot be read: {error.strerror}.") from error
    if len(text) > _MOST_BYTES:
        raise errors.ConfigurationError(f"{file} has more than {_MOST_BYTES} bytes.")
    try:
        found = json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise errors.ConfigurationError(f"{file} is not JSON: {error}.") from error
    if not isinstance(found, dict):
        raise errors.ConfigurationError(f"{file} is not a JSON object.", remedy='Write for example {"pinned": true}.')
    return _checked(file, found)


def _checked(file: Path, found: Mapping[str, Any]) -> ModelConfig:
    values = {}
    for key, value in found.items():
        kind = KEYS.get(key)
        if kind is None:
            near = difflib.get_close_matches(key, KEYS, n=1)
            known = f"Did you mean {near[0]}?" if near else f"It may have: {', '.join(KEYS)}."
            raise errors.ConfigurationError(f"{file}: {key!r} is no key of this file.", remedy=known)
        wanted, check = kind
        try:
            checked = check(value)
        except (ValueError, errors.ConfigurationError) as error:
            shown = json.dumps(value)[:80]
            raise errors.ConfigurationError(f"{file}: {key} is {shown}, and not {wanted}.") from error
        values["model_format" if key == "format" else key] = checked
    return ModelConfig(**values)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} is there twice")
    return found


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no number")


# -- the values -----------------------------------------------------------------------------------------


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError
    return value


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError
    return value


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ValueError
    return float(value)


def _bytes(value: Any) -> int:
    return ByteSize.parse(value) if isinstance(value, str) else _count(value)


def _options(value: Any) -> Mapping[str, SettingValue]:
    if not isinstance(value, dict) or not all(isinstance(each, str | int | float | bool) for each in value.values()):
        raise ValueError
    return value


KEYS: Final[Mapping[str, tuple[str, Callable[[Any], Any]]]] = {
    "format": ("the name of a format or a runtime", _text),
    "options": ("an object of texts, numbers and truth values", _options),
    "memory": ('a number of bytes, or a text such as "200MiB"', _bytes),
    "max_queue_size": ("a whole number of at least 1", _count),
    "max_batch_size": ("a whole number of at least 1", _count),
    "max_batch_delay": ("a number of seconds, 0 or more", _seconds),
    "request_timeout": ("a number of seconds, 0 or more", _seconds),
    "pinned": ("true or false", _truth),
    "preload": ("true or false", _truth),
}
"""The keys of the file: what each must be, and the check that holds it."""
