"""The settings of a server: each with its default, its flag and its meaning in one place.

The command line, the environment (``FAIRLEAD_<NAME>``) and the documentation are made from the fields of
`ServerSettings`. Flags of KServe's model server that mean the same are aliases of ours.
"""

from __future__ import annotations

import dataclasses
import math
import os
import re
from collections.abc import Mapping
from typing import Any, Final

from fairlead import errors
from fairlead.contracts.runtime import parse_bool
from fairlead.contracts.unpickling import UnpicklingPolicy

__all__ = ["ByteSize", "Option", "ServerSettings", "options"]

_MIB: Final = 1024 * 1024
_LARGEST_PORT: Final = 65535


class ByteSize(int):
    """A number of bytes, written as people write it: ``1073741824``, ``1GiB``, ``1.5 GB``."""

    _SUFFIXES: Final[Mapping[str, int]] = {
        "": 1,
        "b": 1,
        **{f"{letter}b": 1000**power for power, letter in enumerate("kmgt", 1)},
        **{f"{letter}i{end}": 1024**power for power, letter in enumerate("kmgt", 1) for end in ("", "b")},
    }

    @classmethod
    def parse(cls, text: str) -> ByteSize:
        """Read a number with or without one of the suffixes B, kB, MB, GB, TB, KiB, MiB, GiB, TiB.

        Raises:
            ValueError: it is something else.
        """
        found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?([A-Za-z]*)", text.strip())
        factor = cls._SUFFIXES.get(found[2].lower()) if found else None
        if found is None or factor is None:
            raise ValueError(f"{text!r} is not a number of bytes")
        number = int(found[1]) if found[1].isdigit() else float(found[1])
        return cls(number * factor)

    def __str__(self) -> str:
        """The number in the largest unit that it fills, for example ``1.5 GiB``."""
        power = min(max(int(self).bit_length() - 1, 0) // 10, 4)
        return f"{self / 1024**power:.4g} {'KMGT'[power - 1]}iB" if power else f"{int(self)}"


_WHAT_TO_WRITE: Final[Mapping[type[Any], str]] = {
    ByteSize: "Write a number of bytes, for example 500MB or 2GiB.",
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
            raise errors.ConfigurationError(
                f"{source}: {text!r} cannot be read.", remedy=_WHAT_TO_WRITE.get(type(self.default))
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
    if kind is ByteSize:
        return ByteSize.parse(text)
    return kind(text)


def _option(default: Any, help: str, *aliases: str, choices: tuple[str, ...] = ()) -> Any:  # noqa: A002  # argparse's word
    metadata = {"help": help, "aliases": aliases, "choices": choices}
    return dataclasses.field(default=default, metadata=metadata)


_GRPC_PORT: Final = 8081
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
    enable_grpc: bool = _option(True, "whether the gRPC server runs beside the REST server")
    grpc_port: int = _option(
        _GRPC_PORT, "port of the gRPC server; 0 lets the system choose, as it does by default where --http-port is 0"
    )
    max_threads: int = _option(4, "threads in which gRPC calls are handled; a call that waits for a model needs none")
    grpc_max_receive_message_length: int = _option(8 * _MIB, "bytes that a gRPC request may have, decompressed")
    grpc_max_send_message_length: int = _option(8 * _MIB, "bytes that a gRPC answer may have")
    grpc_max_concurrent_calls: int = _option(
        2048, "inference calls that gRPC takes at a time; more are refused with RESOURCE_EXHAUSTED; 0 for any number"
    )
    grpc_max_connection_age: float = _option(
        10.0,
        "seconds after which a gRPC client is asked to connect anew, and up to a tenth more; no call is lost by it; "
        "0 for never, and then calls are cancelled when a server ends under load",
    )
    grpc_tls_cert: str = _option("", "file with the certificate of the gRPC server, and its chain; makes it speak TLS")
    grpc_tls_key: str = _option("", "file with the key of that certificate, without a password")
    grpc_tls_client_ca: str = _option("", "file with certificates of authorities; a client must have one of theirs")
    event_loop: str = _option("auto", "event loop", choices=("auto", "asyncio", "uvloop"))
    timeout_keep_alive: int = _option(
        65, "seconds that an idle connection is kept, longer than most proxies keep theirs"
    )
    header_timeout: float = _option(
        10.0, "seconds within which a connection must have sent the headers of a request; 0 for any"
    )
    body_timeout: float = _option(
        60.0, "seconds within which a client must have sent a body, and over gRPC read its answer; 0 for any"
    )
    max_header_bytes: int = _option(64 * 1024, "bytes that the request line and the headers may have")
    max_body_bytes: int = _option(64 * _MIB, "bytes that a request body may have, before and after decompression")
    max_body_bytes_in_flight: ByteSize = _option(
        ByteSize(1024 * _MIB),
        "bytes of requests that are held at a time, of all clients and protocols together; more are refused with 429; "
        "0 for any",
    )
    request_timeout: float = _option(
        60.0, "seconds within which a request is answered, its wait in the queue included; 0 for any"
    )
    sample_timeout: float = _option(60.0, "seconds within which a model that loads must answer each sample; 0 for any")
    max_queue_size: int = _option(1024, "requests that may wait for a model; more are refused with 429")
    max_queue_delay: float = _option(
        1.0,
        "seconds of work that may wait for a model, as far as its calls so far tell; more is refused with 429, but "
        "never while fewer than 64 requests wait; 0 for any",
    )
    max_batch_size: int = _option(64, "rows that are joined to one call of a model; 1 turns batching off")
    max_batch_delay: float = _option(
        0.0, "seconds to wait for a batch to fill; 0 takes what waits when the model is free"
    )
    explain_max_calls: int = _option(
        1000, "calls of the model that one explanation of an explainer plugin may cause; 0 for any number"
    )
    load_on_demand: bool = _option(
        False, "whether a model of a folder is loaded when it is first asked, and not at start"
    )
    max_loads: int = _option(2, "models that are loaded at the same time; further loads wait")
    model_memory_budget: ByteSize = _option(
        ByteSize(0),
        "bytes of memory that all loaded models together may take, for example 2GiB; with --load-on-demand the least "
        "recently used make room for others; 0 for any",
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
    access_log: bool = _option(False, "whether every inference request is logged", "--enable_latency_logging")
    log_format: str = _option(
        "auto", "format of log lines; auto is text on a terminal", choices=("auto", "text", "json")
    )
    log_level: str = _option("info", "least severe log level", choices=("debug", "info", "warning", "error"))

    def __post_init__(self) -> None:
        if self.http_port > _LARGEST_PORT:
            raise errors.ConfigurationError(f"--http-port: {self.http_port} is larger than {_LARGEST_PORT}.")
        if self.grpc_port > _LARGEST_PORT:
            raise errors.ConfigurationError(f"--grpc-port: {self.grpc_port} is larger than {_LARGEST_PORT}.")
        if self.enable_grpc and self.grpc_port and self.grpc_port == self.http_port:
            raise errors.ConfigurationError(
                f"--http-port and --grpc-port are both {self.http_port}.", remedy="Choose another --grpc-port."
            )
        if not self.enable_grpc and (self.grpc_tls_cert or self.grpc_tls_key or self.grpc_tls_client_ca):
            raise errors.ConfigurationError(
                "TLS is set for gRPC, and gRPC is turned off.",
                remedy="Leave out the --grpc-tls flags, or --enable-grpc false. REST has no TLS of its own.",
            )
        if 0 < self.max_body_bytes_in_flight < self.max_body_bytes:
            raise errors.ConfigurationError(
                f"--max-body-bytes-in-flight: {self.max_body_bytes_in_flight} is less than one request may have.",
                remedy=f"Allow at least {self.max_body_bytes} bytes, or lower --max-body-bytes.",
            )
        if self.max_threads < 1:
            raise errors.ConfigurationError("--max-threads: at least 1 thread must handle gRPC calls.")
        if self.max_batch_size < 1:
            raise errors.ConfigurationError("--max-batch-size: at least 1 row must be allowed.")
        if self.max_queue_size < 1:
            raise errors.ConfigurationError("--max-queue-size: at least 1 request must be allowed to wait.")
        if self.max_loads < 1:
            raise errors.ConfigurationError("--max-loads: at least 1 model must be allowed to load.")

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
        chosen = found | given
        if chosen.get("http_port") == 0:
            chosen.setdefault("grpc_port", 0)  # who lets the system choose one port does not mean to fix the other
        return cls(**chosen)


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
