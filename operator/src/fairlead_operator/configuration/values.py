"""How single values of ``inferenceservice-config`` are read: what each may be, and what it comes to."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import pydantic

from fairlead import errors
from fairlead.api.component import LoggerStorage
from fairlead.contracts.quantities import quantity
from fairlead.resolve import placeholders
from fairlead.resolve.findings import listed

__all__ = [
    "ADDRESS",
    "ANYTHING",
    "BOUND",
    "COUNT",
    "DOMAIN",
    "DOMAINS",
    "DURATION",
    "FILE",
    "FLAG",
    "FLAG_TEXT",
    "FOLDER",
    "GATEWAY",
    "HOST_TEMPLATE",
    "IMAGE",
    "NAME",
    "NAMES",
    "NEEDED_DURATION",
    "NEEDED_FILE",
    "NEEDED_NAME",
    "NUMBER",
    "PATH_TEMPLATE",
    "PATTERNS",
    "QUALIFIED",
    "QUANTITY",
    "STORAGE",
    "SWITCH",
    "TEXT",
    "URL",
    "WINDOW",
    "Kind",
    "choice",
]

_LABEL: Final = r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
_DOMAIN: Final = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
_GATEWAY: Final = re.compile(rf"{_LABEL}/(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
_QUALIFIED: Final = re.compile(
    rf"(?:(?=[^/]{{1,253}}/){_LABEL}(?:\.{_LABEL})*/)?[A-Za-z0-9](?:[-_.A-Za-z0-9]{{0,61}}[A-Za-z0-9])?"
)
_IMAGE: Final = re.compile(r"[A-Za-z0-9][!-~]*")
_FILE: Final = re.compile(r"[-._A-Za-z0-9]{1,253}")
_FOLDER: Final = re.compile(r"/[!-~]*")
_URL: Final = re.compile(r"[A-Za-z][-+.A-Za-z0-9]*://[!-~]+")
_ADDRESS: Final = re.compile(r"[-.A-Za-z0-9]+:[0-9]{1,5}")
_DURATION: Final = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h))+", re.ASCII)
_BOUND: Final = re.compile(r"[0-9]{1,6}%?", re.ASCII)
_SWITCHES: Final = ("0", "1", "false", "true", "no", "yes", "off", "on")
_MOST_SECONDS: Final = 3600
_INT32: Final = 2**31 - 1


@dataclasses.dataclass(frozen=True, slots=True)
class Kind:
    """One kind of value.

    Attributes:
        wanted: what a value has to be, as an end of the sentence "it is ..., and not ...".
        take: gives what a value of JSON comes to; None where it is no value of this kind.
        is_text: whether it is a text, which an annotation has as it is, and not as JSON.
    """

    wanted: str
    take: Callable[[Any], Any]
    is_text: bool = True

    def read(self, value: Any) -> Any:
        """What a value of JSON comes to.

        Raises:
            ConfigurationError: it is no value of this kind; the text is what it has to be.
        """
        found = self.take(value)
        if found is None:
            raise errors.ConfigurationError(self.wanted)
        return found


def choice(*names: str, spelled: Mapping[str, str] | None = None) -> Kind:
    """One of several words.

    Args:
        names: the words; an empty one for none of them.
        spelled: older words, with those that they stand for.
    """
    older = dict(spelled or {})

    def take(value: Any) -> str | None:
        found = older.get(value, value) if isinstance(value, str) else None
        return found if found in names else None

    return Kind(listed([name for name in (*names, *older) if name]), take)


# -- texts ----------------------------------------------------------------------------------------------


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and (not value or value.isprintable()) else None


def _of(pattern: re.Pattern[str], *, empty: bool) -> Callable[[Any], str | None]:
    """Takes texts of a form, and where ``empty`` also the text that says none."""

    def take(value: Any) -> str | None:
        if not isinstance(value, str):
            return None
        return value if (empty and not value) or pattern.fullmatch(value) else None

    return take


def _switch(value: Any) -> str | None:
    return value if isinstance(value, str) and (not value or value.lower() in _SWITCHES) else None


TEXT: Final = Kind("a text in one line", _text)
IMAGE: Final = Kind("the reference of an image", _of(_IMAGE, empty=False))
NAME: Final = Kind("the name of an object, or an empty text", _of(_DOMAIN, empty=True))
NEEDED_NAME: Final = Kind("the name of an object", _of(_DOMAIN, empty=False))
QUALIFIED: Final = Kind("the name of an annotation", _of(_QUALIFIED, empty=False))
FILE: Final = Kind("a key of letters, digits, dots, hyphens and underscores, or an empty text", _of(_FILE, empty=True))
NEEDED_FILE: Final = Kind("a key of letters, digits, dots, hyphens and underscores", _of(_FILE, empty=False))
FOLDER: Final = Kind("a path that begins with /", _of(_FOLDER, empty=False))
URL: Final = Kind("a URL such as http://default-broker, or an empty text", _of(_URL, empty=True))
ADDRESS: Final = Kind("a host and a port such as keda-otel-scaler.keda.svc:4317", _of(_ADDRESS, empty=False))
DOMAIN: Final = Kind("a domain such as example.com, in lower case", _of(_DOMAIN, empty=False))
GATEWAY: Final = Kind("the namespace and the name of a Gateway, as namespace/name", _of(_GATEWAY, empty=True))
DURATION: Final = Kind("a duration such as 5s or 1m30s, or an empty text", _of(_DURATION, empty=True))
NEEDED_DURATION: Final = Kind("a duration such as 5s or 1m30s", _of(_DURATION, empty=False))
SWITCH: Final = Kind("a text that says true or false, or an empty text", _switch)


# -- numbers and flags ----------------------------------------------------------------------------------


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _flag_text(value: Any) -> bool | None:
    """A flag that KServe writes as a text; one that is written as a flag says the same."""
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value.lower()) if isinstance(value, str) else None


def _quantity(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if value == "":
        return ""
    try:
        return str(value) if quantity(value) >= 0 else None
    except (errors.ConfigurationError, OverflowError):
        return None


def _whole(least: int, most: int) -> Callable[[Any], int | None]:
    def take(value: Any) -> int | None:
        return value if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most else None

    return take


def _window(value: Any) -> int | None:
    if isinstance(value, str) and re.fullmatch("[0-9]{1,4}", value, re.ASCII):
        value = int(value)
    return _whole(0, _MOST_SECONDS)(value)


def _bound(value: Any) -> str | None:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not _BOUND.fullmatch(text):
        return None
    return text if not text.endswith("%") or int(text[:-1]) <= 100 else None


FLAG: Final = Kind("true or false", _flag, is_text=False)
FLAG_TEXT: Final = Kind('"true" or "false"', _flag_text)
QUANTITY: Final = Kind("a quantity such as 500m or 2Gi, or an empty text for none", _quantity)
NUMBER: Final = Kind("a whole number from 0", _whole(0, _INT32), is_text=False)
COUNT: Final = Kind("a whole number from 1", _whole(1, _INT32), is_text=False)
WINDOW: Final = Kind('seconds from "0" to "3600"', _window)
BOUND: Final = Kind("a number of pods such as 1, or a part of them such as 25%", _bound)


# -- templates ------------------------------------------------------------------------------------------


class _Any(dict[str, str]):
    """Labels or annotations of a service of which nothing is known: each is there."""

    def get(self, key: str, default: Any = None) -> Any:  # noqa: ARG002  # the interface of a mapping
        return "any"

    def __bool__(self) -> bool:
        return True


def _host_template(value: Any) -> str | None:
    known = placeholders.scope("name", "namespace", _Any(), _Any(), IngressDomain="example.com")
    return value if _DOMAIN.fullmatch(_rendered(value, known) or "") else None


def _path_template(value: Any) -> str | None:
    if value == "":
        return ""
    return value if _FOLDER.fullmatch(_rendered(value, placeholders.scope("name", "namespace")) or "") else None


def _rendered(value: Any, known: placeholders.Scope) -> str | None:
    if not isinstance(value, str):
        return None
    try:
        return str(placeholders.rendered(value, known, "it"))
    except errors.Unresolvable:
        return None


HOST_TEMPLATE: Final = Kind(
    "a template of domains with {{.Name}}, {{.Namespace}}, {{.IngressDomain}}, {{.Labels.x}} and {{.Annotations.x}}",
    _host_template,
)
PATH_TEMPLATE: Final = Kind(
    "a template of paths with {{.Name}} and {{.Namespace}} that begins with /, or an empty text", _path_template
)


# -- lists and objects ----------------------------------------------------------------------------------


def _each(kind: Kind) -> Callable[[Any], tuple[Any, ...] | None]:
    def take(value: Any) -> tuple[Any, ...] | None:
        if not isinstance(value, list):
            return None
        found = [kind.take(each) for each in value]
        return None if any(each is None for each in found) else tuple(_once(found))

    return take


def _once(names: Iterable[Any]) -> Iterable[Any]:
    return dict.fromkeys(names)


def _storage(value: Any) -> dict[str, Any] | None:
    if not isinstance(value, dict):
        return None
    try:
        LoggerStorage.model_validate(value, by_alias=True, by_name=False)
    except pydantic.ValidationError:
        return None
    return value


def _anything(value: Any) -> Any:
    return value


NAMES: Final = Kind("a list of names of labels, annotations or resources", _each(QUALIFIED), is_text=False)
DOMAINS: Final = Kind("a list of domains such as example.com, in lower case", _each(DOMAIN), is_text=False)
PATTERNS: Final = Kind("a list of patterns such as ingress.*", _each(TEXT), is_text=False)
STORAGE: Final = Kind("an object as logger.storage of a service has it", _storage, is_text=False)
ANYTHING: Final = Kind("anything", _anything, is_text=False)
