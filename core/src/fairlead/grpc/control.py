"""The methods that are not inference: liveness, readiness, metadata, the repository, and grpc.health.v1."""

from __future__ import annotations

import asyncio
import functools
import importlib.metadata
import logging
from typing import TYPE_CHECKING, Any, Final, TypeVar

from google.protobuf.message import DecodeError, Message
from grpc import StatusCode
from grpc_health.v1 import health_pb2

from fairlead import errors
from fairlead.grpc import metadata
from fairlead.grpc.errors import failure_of
from fairlead.protocol import requestid
from fairlead.protocol._pb import messages

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from concurrent.futures import Future

    from fairlead.contracts.tensors import TensorSpec
    from fairlead.engine.engine import Engine
    from fairlead.grpc.calls import Call, Handler

__all__ = ["HEALTH", "Control"]

_log = logging.getLogger("fairlead.requests")

HEALTH: Final = "grpc.health.v1.Health"

_EXTENSIONS: Final = ("model_repository_extension", "binary_tensor_data")
_MEANINGLESS: Final = "unload_dependents"
"""Triton's clients send it with every unload; models here have no dependents."""

M = TypeVar("M", bound=Message)


class Control:
    """Answers everything but inference, from what the engine knows at that moment.

    Args:
        engine: what is asked.
        loop: the engine's event loop, on which models are loaded and unloaded.
    """

    def __init__(self, engine: Engine, loop: asyncio.AbstractEventLoop) -> None:
        self._engine = engine
        self._loop = loop

    def handlers(self) -> Mapping[str, Handler]:
        """The handlers, by full name."""
        own: dict[str, Handler] = {
            "ServerLive": _plain(messages.ServerLiveRequest, self._live),
            "ServerReady": _plain(messages.ServerReadyRequest, self._ready),
            "ServerMetadata": _plain(messages.ServerMetadataRequest, self._server),
            "ModelReady": self._awaited(messages.ModelReadyRequest, self._model_ready),
            "ModelMetadata": self._awaited(messages.ModelMetadataRequest, self._model),
            "RepositoryIndex": _plain(messages.RepositoryIndexRequest, self._index),
            "RepositoryModelLoad": self._awaited(messages.RepositoryModelLoadRequest, self._load),
            "RepositoryModelUnload": self._awaited(messages.RepositoryModelUnloadRequest, self._unload),
        }
        check = self._awaited(health_pb2.HealthCheckRequest, self._health)
        return {f"/{messages.SERVICE}/{name}": handler for name, handler in own.items()} | {f"/{HEALTH}/Check": check}

    # -- the server -------------------------------------------------------------------------------------

    def _live(self, request: messages.ServerLiveRequest) -> messages.ServerLiveResponse:  # noqa: ARG002  # it is empty
        return messages.ServerLiveResponse(live=True)

    def _ready(self, request: messages.ServerReadyRequest) -> messages.ServerReadyResponse:  # noqa: ARG002  # as above
        return messages.ServerReadyResponse(ready=self._engine.ready)

    def _server(self, request: messages.ServerMetadataRequest) -> messages.ServerMetadataResponse:  # noqa: ARG002  # as above
        version = importlib.metadata.version("fairlead")
        return messages.ServerMetadataResponse(name="fairlead", version=version, extensions=_EXTENSIONS)

    async def _health(self, request: health_pb2.HealthCheckRequest) -> health_pb2.HealthCheckResponse:
        is_server = request.service in ("", messages.SERVICE)
        serves = self._engine.ready if is_server else await self._answers(request.service)
        states = health_pb2.HealthCheckResponse
        return states(status=states.SERVING if serves else states.NOT_SERVING)

    async def health(self, service: str) -> Any:
        """The status of a service for those who watch it: of the server, or of a model."""
        try:
            return (await self._health(health_pb2.HealthCheckRequest(service=service))).status
        except errors.ModelNotFound:
            return health_pb2.HealthCheckResponse.SERVICE_UNKNOWN

    # -- models -----------------------------------------------------------------------------------------

    async def _model_ready(self, request: messages.ModelReadyRequest) -> messages.ModelReadyResponse:
        answers = await self._answers(request.name)
        _refuse_version(request.version)
        return messages.ModelReadyResponse(ready=answers)

    async def _answers(self, name: str) -> bool:
        """Whether a request to a model would be answered.

        Raises:
            ModelNotFound: none of that name is known.
        """
        try:
            await self._engine.check(name)
        except (errors.ModelNotReady, errors.ServerNotReady):
            return False
        return True

    async def _model(self, request: messages.ModelMetadataRequest) -> messages.ModelMetadataResponse:
        _refuse_version(request.version)
        serving = await self._engine.acquire(request.name)
        described = messages.ModelMetadataResponse(name=serving.name, platform=serving.metadata.platform)
        for spec in serving.metadata.inputs:
            described.inputs.add(**_fields(spec))
        for spec in serving.metadata.outputs:
            described.outputs.add(**_fields(spec))
        described.properties.update(serving.properties)
        return described

    # -- the repository ---------------------------------------------------------------------------------

    def _index(self, request: messages.RepositoryIndexRequest) -> messages.RepositoryIndexResponse:
        self._check_repository(request.repository_name)
        index = messages.RepositoryIndexResponse()
        for entry in self._engine.registry:
            if entry.serving is not None or not request.ready:
                index.models.add(name=entry.name, state=entry.state.value, reason=entry.reason)
        return index

    async def _load(self, request: messages.RepositoryModelLoadRequest) -> messages.RepositoryModelLoadResponse:
        name = self._model_to_change(request)
        await self._engine.load(name)
        return messages.RepositoryModelLoadResponse(model_name=name, isLoaded=True)

    async def _unload(self, request: messages.RepositoryModelUnloadRequest) -> messages.RepositoryModelUnloadResponse:
        name = self._model_to_change(request)
        await self._engine.unload(name)
        return messages.RepositoryModelUnloadResponse(model_name=name, isUnloaded=True)

    def _model_to_change(
        self, request: messages.RepositoryModelLoadRequest | messages.RepositoryModelUnloadRequest
    ) -> str:
        """The model's name, which KServe's clients have in one field and Triton's in another."""
        is_tritons = bool(request.triton_model_name)
        self._check_repository(request.model_name if is_tritons else "")
        unknown = sorted(set(request.parameters) - {_MEANINGLESS})
        if unknown:
            raise errors.NotSupported(
                f"The parameters {', '.join(unknown)} are not supported.",
                remedy="A model is loaded as it is in the repository.",
            )
        return request.triton_model_name if is_tritons else request.model_name

    def _check_repository(self, name: str) -> None:
        if not self._engine.settings.enable_repository_api:
            raise errors.NotSupported("The repository API is turned off on this server.")
        if name:
            raise errors.NotSupported(f"There is no repository {name!r}: this server has one, without a name.")

    def _awaited(self, kind: type[M], ask: Callable[[M], Coroutine[Any, Any, Message]]) -> Handler:
        """A handler that runs on the engine's loop, and goes on when its client has gone."""

        def answer(body: bytes, call: Call) -> None:
            asking = asyncio.run_coroutine_threadsafe(ask(_parsed(kind, body)), self._loop)
            asking.add_done_callback(functools.partial(_told, call))

        return answer


def _told(call: Call, asked: Future[Message]) -> None:
    error = errors.ServerNotReady() if asked.cancelled() else asked.exception()
    if error is None:
        call.answer(asked.result().SerializeToString(), trailing=_own(call))
        return
    failure = failure_of(error)
    if failure.code is StatusCode.INTERNAL:
        _log.error("a gRPC call failed: %s", error, exc_info=error)
    call.fail(failure, _own(call))


def _plain(kind: type[M], ask: Callable[[M], Message]) -> Handler:
    """A handler that is a function of the message."""

    def answer(body: bytes, call: Call) -> None:
        try:
            told = ask(_parsed(kind, body))
        except errors.FairleadError as error:
            call.fail(failure_of(error), _own(call))
        else:
            call.answer(told.SerializeToString(), trailing=_own(call))

    return answer


def _parsed(kind: type[M], body: bytes) -> M:
    try:
        return kind.FromString(body)
    except DecodeError as error:
        raise errors.InvalidInput(f"the message is no {kind.DESCRIPTOR.full_name}") from error


def _own(call: Call) -> metadata.Metadata:
    return ((requestid.NAME, requestid.of(metadata.headers_of(call.metadata))),)


def _refuse_version(version: str) -> None:
    if version:
        raise errors.NotSupported("Model versioning not supported yet.")


def _fields(spec: TensorSpec) -> dict[str, object]:
    return {"name": spec.name, "datatype": spec.datatype.value, "shape": spec.shape}
