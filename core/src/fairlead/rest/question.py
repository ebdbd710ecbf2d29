"""One inference question over HTTP, and the answer to it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from fairlead.rest import requestid

if TYPE_CHECKING:
    from fairlead.engine.serving import Serving
    from fairlead.rest.responseheaders import Headers
    from fairlead.tracing.spans import RequestSpan

__all__ = ["EXPLAIN", "EXPLAIN_V2", "INFER", "PREDICT", "ROUTES", "Answer", "Question", "match"]

PREDICT: Final = "predict"
EXPLAIN: Final = "explain"
INFER: Final = "infer"
EXPLAIN_V2: Final = "explain-v2"

ROUTES: Final[Mapping[str, str]] = {
    PREDICT: "/v1/models/{model_name}:predict",
    EXPLAIN: "/v1/models/{model_name}:explain",
    INFER: "/v2/models/{model_name}/infer",
    EXPLAIN_V2: "/v2/models/{model_name}/explain",
}


def match(path: str) -> tuple[str, str] | None:
    """The kind of the question and the model's name, when a path is that of one; None otherwise."""
    if path.startswith("/v2/models/") and path.endswith("/infer"):
        kind, name = INFER, path[11:-6]
    elif path.startswith("/v1/models/") and path.endswith(":predict"):
        kind, name = PREDICT, path[11:-8]
    elif path.startswith("/v1/models/") and path.endswith(":explain"):
        kind, name = EXPLAIN, path[11:-8]
    elif path.startswith("/v2/models/") and path.endswith("/explain"):
        kind, name = EXPLAIN_V2, path[11:-8]
    else:
        return None
    return (kind, name) if name and "/" not in name else None


class Question:
    """An inference question, whichever way it came.

    Attributes:
        kind: `PREDICT`, `EXPLAIN`, `INFER` or `EXPLAIN_V2`.
        name: the name of the model that is asked.
        path: the path as it was sent.
        headers: the request's headers, names in lower case.
        request_id: the request's id.
        started: when it arrived, as `time.perf_counter` tells.
        serving: the model, once it is found.
        span: the trace of the request; None for none.
    """

    __slots__ = ("headers", "kind", "name", "path", "request_id", "serving", "span", "started")

    def __init__(self, kind: str, name: str, path: str, headers: Mapping[str, str]) -> None:
        self.kind = kind
        self.name = name
        self.path = path
        self.headers = headers
        self.request_id = requestid.of(headers)
        self.started = time.perf_counter()
        self.serving: Serving | None = None
        self.span: RequestSpan | None = None

    @property
    def protocol(self) -> str:
        """``v1`` or ``v2``."""
        return "v2" if self.kind in (INFER, EXPLAIN_V2) else "v1"

    @property
    def explains(self) -> bool:
        """Whether an explanation is asked for."""
        return self.kind in (EXPLAIN, EXPLAIN_V2)


class Answer(NamedTuple):
    """What is sent to the client.

    Attributes:
        status: the HTTP status.
        headers: its headers, except for the length.
        chunks: its body, in pieces that are sent without being copied where they are long.
    """

    status: int
    headers: Headers
    chunks: Sequence[bytes | memoryview]
