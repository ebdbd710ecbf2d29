"""What the server refuses, said as Kubernetes says it: a Status with a reason, details and causes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any, Self

__all__ = ["Cause", "Failure"]

_REASONS = {
    "FieldValueInvalid": "Invalid value",
    "FieldValueTypeInvalid": "Invalid value",
    "FieldValueRequired": "Required value",
    "FieldValueForbidden": "Forbidden",
    "FieldValueNotSupported": "Unsupported value",
    "FieldValueDuplicate": "Duplicate value",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Cause:
    """One field that is wrong, and why."""

    field: str
    reason: str
    message: str

    @classmethod
    def of(cls, reason: str, field: str, text: str = "", value: Any = None) -> Self:
        """A cause with the wording of field errors: ``Invalid value: "x": why``."""
        head = _REASONS[reason]
        if reason not in ("FieldValueRequired", "FieldValueForbidden"):
            head = f"{head}: {_shown(value)}"
        return cls(field, reason, f"{head}: {text}" if text else head)

    def data(self) -> dict[str, str]:
        """The cause as it stands in a Status."""
        return {"reason": self.reason, "message": self.message, "field": self.field}


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else f'"{type(value).__name__}"'


class Failure(Exception):
    """A request that ends in a Status of failure.

    Args:
        code: The HTTP status.
        reason: The machine-readable reason; "" where Kubernetes gives none.
        message: What a person reads.
        details: The details of the Status.
        headers: Headers that go with the answer.
    """

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        details: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details or {}
        self.headers = headers or {}

    def status(self) -> dict[str, Any]:
        """The Status object."""
        answer = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": self.message}
        answer |= {"reason": self.reason} if self.reason else {}
        answer |= {"details": self.details} if self.details else {}
        return answer | {"code": self.code}

    @classmethod
    def not_found(cls, group: str, plural: str, name: str) -> Self:
        """No such object."""
        return cls(404, "NotFound", f'{qualified(plural, group)} "{name}" not found', _details(name, group, plural))

    @classmethod
    def no_such_path(cls) -> Self:
        """No such kind or path."""
        return cls(404, "NotFound", "the server could not find the requested resource")

    @classmethod
    def already_exists(cls, group: str, plural: str, name: str) -> Self:
        """The name is taken."""
        text = f'{qualified(plural, group)} "{name}" already exists'
        return cls(409, "AlreadyExists", text, _details(name, group, plural))

    @classmethod
    def conflict(cls, group: str, plural: str, name: str, why: str = "") -> Self:
        """The object is not the one that the request was made for."""
        why = why or ("the object has been modified; please apply your changes to the latest version and try again")
        text = f'Operation cannot be fulfilled on {qualified(plural, group)} "{name}": {why}'
        return cls(409, "Conflict", text, _details(name, group, plural))

    @classmethod
    def apply_conflict(cls, message: str, causes: Iterable[Cause]) -> Self:
        """Other managers own fields that were applied with other values."""
        return cls(409, "Conflict", message, {"causes": [each.data() for each in causes]})

    @classmethod
    def invalid(cls, group: str, kind: str, name: str, causes: Sequence[Cause]) -> Self:
        """The object was understood, and some of its fields are wrong."""
        texts = [f"{each.field}: {each.message}" for each in causes]
        text = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
        details = _details(name, group, kind) | {"causes": [each.data() for each in causes]}
        return cls(422, "Invalid", f'{qualified(kind, group)} "{name}" is invalid: {text}', details)

    @classmethod
    def forbidden(cls, group: str, plural: str, name: str, why: str, causes: Iterable[Cause] = ()) -> Self:
        """The request is understood, and not allowed."""
        details = _details(name, group, plural)
        if found := [each.data() for each in causes]:
            details["causes"] = found
        named = f' "{name}"' if name else ""
        return cls(403, "Forbidden", f"{qualified(plural, group)}{named} is forbidden: {why}", details)

    @classmethod
    def bad_request(cls, message: str) -> Self:
        """The request cannot be understood."""
        return cls(400, "BadRequest", message)

    @classmethod
    def expired(cls, message: str) -> Self:
        """The asked-for version of the past is gone."""
        return cls(410, "Expired", message)

    @classmethod
    def unsupported_media(cls, given: str, accepted: Iterable[str]) -> Self:
        """The body is of a type that is not read here."""
        text = f"the body of the request was in an unknown format - accepted media types include: {', '.join(accepted)}"
        return cls(415, "UnsupportedMediaType", text if given else f"no content type: {text}")

    @classmethod
    def method_not_allowed(cls) -> Self:
        """The resource exists, the verb does not."""
        return cls(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")


def qualified(name: str, group: str) -> str:
    """A kind or plural with its group: ``deployments.apps``, and ``pods`` for the core group."""
    return f"{name}.{group}" if group else name


def _details(name: str, group: str, kind: str) -> dict[str, Any]:
    found = {"name": name, "group": group, "kind": kind}
    return {key: value for key, value in found.items() if value}
