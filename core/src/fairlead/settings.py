"""The settings of a server: each with its default, its flag and its meaning in one place.

The command line, the environment (``FAIRLEAD_<NAME>``) and the documentation are made from the fields of
`ServerSettings`. Flags of KServe's model server that mean the same are aliases of ours.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping
from typing import Any, Final

from fairlead import errors
from fairlead.contracts.runtime import parse_bool
from fairlead.contracts.unpickling import UnpicklingPolicy

__all__ = ["Option", "ServerSettings", "options"]

_MIB: Final = 1024 * 1024
_LARGEST_PORT: Final = 65535
_WHAT_TO_WRITE: Final[Mapping[type[Any], str]] = {
    bool: "Write true or false.",
    int: "Write a whole number.",
    float: "Write a number.",
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """How one setting is given.

    Attributes:
        name: the field's name.
        default: its default.
        help: what it means.
        flags: command-line flags, the preferred one first.
        choices: the values that are allowed; empty for any.
    """

    name: str
    default: Any
    help: str
    flags: tuple[str, ...]
    choices: tuple[str, ...] = ()

    @property
    def variable(self) -> str:
        """The environment variable."""
        return f"FAIRLEAD_{self.name.upper()}"

    def parse(self, text: str, source: str | None = None) -> Any:
        """Read a value from text.

        Args:
            text: what was given.
            source: where it was given, for messages; the flag by default.

        Raises:
            ConfigurationError: it has another type, is negative, or is not one of the choices.
        """
        source = source or self.flags[0]
        try:
            value = _parse(type(self.default), text)
        except ValueError as error:
            wanted = type(self.default).__name__
            raise errors.ConfigurationError(
                f"{source}: {text!r} is not a value of type {wanted}.", remedy=_WHAT_TO_WRITE.get(type(self.default))
            ) from error
        if self.choices and value not in self.choices:
            raise errors.ConfigurationError(f"{source}: {text!r} is not one of {', '.join(self.choices)}.")
        if isinstance(value, int | float) and not 0 <= value < math.inf:
            raise errors.ConfigurationError(f"{source}: {text!r} is negative, or no number at all.")
        return value


def _parse(kind: type[Any], text: str) -> Any:
    if kind is bool:
        return parse_bool(text)
    if kind is UnpicklingPolicy:
        return UnpicklingPolicy.parse(text)
    return kind(text)


def _option(default: Any, help: str, *aliases: str, choices: tuple[str, ...] = ()) -> Any:  # noqa: A002  # argparse's word
    metadata = {"help": help, "aliases": aliases, "choices": choices}
    return dataclasses.field(default=default, metadata=metadata)


_ALLOW: Final = UnpicklingPolicy()
_IN_CLUSTER: Final = "KUBERNETES_SERVICE_HOST" in os.environ
_DRAIN_DELAY: Final = 5.0 if _IN_CLUSTER else 0.0  # as long as it takes a cluster to stop routing to a pod
_HOST: Final = "0.0.0.0" if _IN_CLUSTER else "127.0.0.1"  # noqa: S104  # a pod must answer its kubelet


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Everything that can be set about a server."""

    host: str = _option(
        _HOST,
        "address to listen on; in a pod every address, elsewhere only this machine's loopback",
    )
    http_port: int = _option(8080, "port of the REST server; 0 lets the system choose", "--port")
    event_loop: str = _option("auto", "event loop", choices=("auto", "asyncio", "uvloop"))
    timeout_keep_alive: int = _option(
        65, "seconds that an idle connection is kept, longer than most proxies keep theirs"
    )
    header_timeout: float = _option(
        10.0, "seconds within which a connection must have sent the headers of a request; 0 for any"
    )
    body_timeout: float = _option(60.0, "seconds within which a request must have sent its body; 0 for any")
    max_header_bytes: int = _option(64 * 1024, "bytes that the request line and the headers may have")
    max_body_bytes: int = _option(64 * _MIB, "bytes that a request body may have, before and after decompression")
    request_timeout: float = _option(
        60.0, "seconds within which a request is answered, its wait in the queue included; 0 for any"
    )
    sample_timeout: float = _option(60.0, "seconds within which a model that loads must answer each sample; 0 for any")
    max_queue_size: int = _option(1024, "requests that may wait for a model; more are refused with 429")
    max_batch_size: int = _option(64, "rows that are joined to one call of a model; 1 turns batching off")
    max_batch_delay: float = _option(
        0.0, "seconds to wait for a batch to fill; 0 takes what waits when the model is free"
    )
    drain_delay: float = _option(
        _DRAIN_DELAY,
        "seconds after SIGTERM in which readiness fails and requests are still accepted",
    )
    drain_timeout: float = _option(30.0, "seconds after that in which requests in flight may finish")
    unpickling: UnpicklingPolicy = _option(
        _ALLOW,
        "whether files that run code as they load may be loaded: allow, deny, or trusted digests as sha256:<hex>,...",
    )
    enable_repository_api: bool = _option(True, "whether models can be loaded and unloaded over the network")
    enable_docs_url: bool = _option(False, "whether /docs shows the API in a browser")
    binary_output_inherits: bool = _option(
        False,
        "whether binary_data_output holds for listed outputs too, as in Triton; KServe ignores it then",
    )
    access_log: bool = _option(False, "whether every request is logged", "--enable_latency_logging")
    log_format: str = _option(
        "auto", "format of log lines; auto is text on a terminal", choices=("auto", "text", "json")
    )
    log_level: str = _option("info", "least severe log level", choices=("debug", "info", "warning", "error"))

    def __post_init__(self) -> None:
        if self.http_port > _LARGEST_PORT:
            raise errors.ConfigurationError(f"--http-port: {self.http_port} is larger than {_LARGEST_PORT}.")
        if self.max_batch_size < 1:
            raise errors.ConfigurationError("--max-batch-size: at least 1 row must be allowed.")
        if self.max_queue_size < 1:
            raise errors.ConfigurationError("--max-queue-size: at least 1 request must be allowed to wait.")

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None, **given: Any) -> ServerSettings:
        """Settings from the environment, with those that are given on top.

        Args:
            environ: the environment; by default the process's own.
            given: settings by name.

        Raises:
            ConfigurationError: a variable does not parse.
        """
        environ = os.environ if environ is None else environ
        found = {
            option.name: option.parse(environ[option.variable], option.variable)
            for option in options()
            if option.variable in environ
        }
        return cls(**(found | given))


def options() -> tuple[Option, ...]:
    """Every setting of `ServerSettings`, in the order of its fields."""
    made = []
    for field in dataclasses.fields(ServerSettings):
        hyphened = f"--{field.name.replace('_', '-')}"
        spellings = dict.fromkeys([hyphened, f"--{field.name}", *field.metadata["aliases"]])
        made.append(
            Option(
                name=field.name,
                default=field.default,
                help=field.metadata["help"],
                flags=tuple(spellings),
                choices=field.metadata["choices"],
            )
        )
    return tuple(made)
