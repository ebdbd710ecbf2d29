"""What clients are told when the gateway itself has to answer, in the words of the servers behind it.

Over HTTP it is ``{"error": "..."}``. For a call of gRPC Envoy makes a status of the HTTP one (404: UNIMPLEMENTED; 503
and 504: UNAVAILABLE) and its message of the body, which is plain text then. What took too long is DEADLINE_EXCEEDED
there: the rule says so in `STATUS_HEADER`, from which a filter takes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from fairlead.local.gateway.messages import Message

__all__ = ["STATUS_HEADER", "local_replies"]

STATUS_HEADER: Final = "x-fairlead-grpc-status"
"""The header of a reply to a call of gRPC in which its status is, where it is not the one that Envoy makes of 504."""

_UNKNOWN: Final = (
    "No InferenceService is at host %REQ(:AUTHORITY)% and path %PATH(NQ)%. fairlead status shows what there is."
)

_BY_FLAG: Final = (
    (("NR",), _UNKNOWN),
    (("NC",), "The revision that this request fell to does not answer this protocol."),
    (("UH",), "No replica is ready to answer."),
    (("UO",), "As many requests as may be are in flight; try again later."),
    (("UF",), "No connection to a replica could be made."),
    (("UC", "UR", "LR"), "The replica ended the connection before it had answered."),
    (("UPE",), "The replica's answer cannot be read."),
    (("UT", "SI", "DT", "UMSDR"), "No answer within the time limit of the component."),
)
"""Envoy's flags for what went wrong, and how it is said."""

_OF_ACTIVATOR: Final = ((460, 503), (461, 504), (462, 503))
"""How the activator refuses, and what that is for a client: its queue is full, a request waited too long, it cannot
start."""

_TOO_LATE: Final = 504
_CALL: Final[Message] = {
    "header_filter": {"header": {"name": "content-type", "string_match": {"prefix": "application/grpc"}}}
}
_RETRY_AFTER: Final[Message] = {"header": {"key": "retry-after", "value": "1"}, "append_action": "ADD_IF_ABSENT"}
_DEADLINE_EXCEEDED: Final[Message] = {
    "header": {"key": STATUS_HEADER, "value": "4"},
    "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
}


def local_replies() -> Message:
    """The rules by which Envoy's own answers are rewritten, the first that fits."""
    mappers: list[Message] = []
    for status, shown in _OF_ACTIVATOR:
        rule = {"status_code": shown, "body_format_override": _text("%LOCAL_REPLY_BODY%", "application/json")}
        if shown == _TOO_LATE:
            mappers.append(
                {"filter": _all(_CALL, _status("EQ", status)), "headers_to_add": [_DEADLINE_EXCEEDED], **rule}
            )
        mappers.append({"filter": _status("EQ", status), **rule})
    for flags, text in _BY_FLAG:
        mappers += _rules({"response_flag_filter": {"flags": list(flags)}}, text)
    lost = _all({"response_flag_filter": {"flags": ["UAEX"]}}, _status("EQ", 503))
    mappers += _rules(lost, "The activator does not answer; try again later.")
    mappers += _rules(_status("EQ", 400), "The request cannot be read: %RESPONSE_CODE_DETAILS%.")
    mappers += _rules(_status("GE", 400), "%LOCAL_REPLY_BODY%")
    return {"mappers": mappers}


def _rules(fits: Message, text: str) -> Iterator[Message]:
    """Rules for what fits: those for calls of gRPC, and then those for all other requests."""
    call = {"body_format_override": _text(text, "text/plain")}
    other = {"body_format_override": {"json_format": {"error": text}}}
    late, later = _status("EQ", _TOO_LATE), _status("EQ", 503)
    yield {"filter": _all(_CALL, fits, late), "headers_to_add": [_DEADLINE_EXCEEDED], **call}
    yield {"filter": _all(_CALL, fits), **call}
    yield {"filter": _all(fits, later), "headers_to_add": [_RETRY_AFTER], **other}
    yield {"filter": fits, **other}


def _all(*filters: Message) -> Message:
    return {"and_filter": {"filters": list(filters)}}


def _text(text: str, content_type: str) -> Message:
    return {"text_format_source": {"inline_string": text}, "content_type": content_type}


def _status(comparison: str, status: int) -> Message:
    # A status is compared with a number that could be changed while Envoy runs; nobody changes this one.
    value = {"default_value": status, "runtime_key": f"fairlead.status.{comparison.lower()}.{status}"}
    return {"status_code_filter": {"comparison": {"op": comparison, "value": value}}}
