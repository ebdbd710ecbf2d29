"""The routes that are not inference: liveness, readiness, metadata, the repository API and metrics."""

from __future__ import annotations

import importlib.metadata
from typing import TYPE_CHECKING, Annotated, Any

import fastapi
import pydantic
from fastapi.responses import Response

from fairlead import errors
from fairlead.engine.registry import ModelState  # noqa: TC001  # pydantic reads the annotation
from fairlead.rest import probes

if TYPE_CHECKING:
    from fairlead.contracts.tensors import TensorSpec
    from fairlead.engine.engine import Engine

__all__ = ["router"]

EXTENSIONS = ["model_repository_extension", "binary_tensor_data"]


class TensorMetadata(pydantic.BaseModel):
    """An input or an output of a model; -1 stands for a dimension of any length."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(pydantic.BaseModel):
    """What a model says of itself."""

    name: str
    versions: list[str] | None
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]
    properties: dict[str, str] = {}

    @pydantic.model_serializer(mode="wrap")
    def without_nothing(self, serialize: pydantic.SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out properties where there are none: the protocol knows no such member."""
        document: dict[str, Any] = serialize(self)
        return document if self.properties else {name: document[name] for name in document if name != "properties"}


class ServerMetadata(pydantic.BaseModel):
    """What the server says of itself."""

    name: str
    version: str
    extensions: list[str]


class IndexRequest(pydantic.BaseModel):
    """Which models to list."""

    model_config = pydantic.ConfigDict(extra="forbid", strict=True)
    ready: bool = False


class IndexEntry(pydantic.BaseModel):
    """One known model, the state that it is in, and what a user should know about it."""

    name: str
    version: str
    state: ModelState
    reason: str


class Error(pydantic.BaseModel):
    """An error."""

    error: str


Name = Annotated[str, fastapi.Path(description="The model's name.")]
_NOT_FOUND: dict[int | str, dict[str, Any]] = {404: {"model": Error, "description": "No model of that name is known."}}
_NOT_READY: dict[int | str, dict[str, Any]] = {
    503: {"model": Error, "description": "It is known, and does not answer."}
}
_MALFORMED: dict[int | str, dict[str, Any]] = {400: {"model": Error, "description": "The body is not JSON."}}
_OFF: dict[int | str, dict[str, Any]] = {501: {"model": Error, "description": "The server does not offer this."}}


def router(engine: Engine) -> fastapi.APIRouter:
    """The routes, bound to an engine."""
    made = fastapi.APIRouter()
    _add_v1(made, engine)
    _add_server(made, engine)
    _add_models(made, engine)
    _add_repository(made, engine)
    return made


def _add_v1(made: fastapi.APIRouter, engine: Engine) -> None:
    @made.get("/", tags=["server"])
    async def live() -> dict[str, str]:
        """Whether the process answers."""
        return probes.live()

    @made.get("/metrics", tags=["server"], response_class=Response)
    async def metrics(accept: Annotated[str, fastapi.Header()] = "") -> Response:
        """Prometheus metrics, in the text format or in OpenMetrics."""
        text, content_type = await probes.exposition(engine, accept)
        return Response(text, headers={"content-type": content_type})

    @made.get("/v1/models", tags=["v1"])
    async def v1_models() -> dict[str, list[str]]:
        """The known models."""
        return {"models": [entry.name for entry in engine.registry]}

    @made.get("/v1/models/{model_name}", tags=["v1"], responses=_NOT_FOUND | _NOT_READY)
    async def v1_model_ready(model_name: Name) -> dict[str, str | bool]:
        """Whether a request to a model would be answered."""
        return await probes.model_ready(engine, model_name)


def _add_server(made: fastapi.APIRouter, engine: Engine) -> None:
    @made.get("/v2", tags=["server"])
    async def server_metadata() -> ServerMetadata:
        """What the server says of itself."""
        version = importlib.metadata.version("fairlead")
        return ServerMetadata(name="fairlead", version=version, extensions=EXTENSIONS)

    @made.get("/v2/health/live", tags=["server"])
    async def server_live() -> dict[str, bool]:
        """Whether the process answers."""
        return probes.server_live()

    @made.get("/v2/health/ready", tags=["server"], responses=_NOT_READY)
    async def server_ready() -> dict[str, bool]:
        """Whether the server should be sent requests: its first models are loaded, and it does not drain."""
        return probes.server_ready(engine)


def _add_models(made: fastapi.APIRouter, engine: Engine) -> None:
    @made.get("/v2/models", tags=["v2"])
    async def v2_models() -> dict[str, list[str]]:
        """The known models."""
        return {"models": [entry.name for entry in engine.registry]}

    @made.get("/v2/models/{model_name}", tags=["v2"], responses=_NOT_FOUND | _NOT_READY)
    async def model_metadata(model_name: Name) -> ModelMetadata:
        """What a model says of itself; loads it where models are loaded on demand."""
        serving = await engine.acquire(model_name)
        return ModelMetadata(
            name=serving.name,
            versions=None,
            platform=serving.metadata.platform,
            inputs=[_tensor(spec) for spec in serving.metadata.inputs],
            outputs=[_tensor(spec) for spec in serving.metadata.outputs],
            properties=dict(serving.properties),
        )

    @made.get("/v2/models/{model_name}/ready", tags=["v2"], responses=_NOT_FOUND | _NOT_READY)
    async def model_ready(model_name: Name) -> dict[str, str | bool]:
        """Whether a request to a model would be answered."""
        return await probes.model_ready(engine, model_name)

    async def versioned(model_name: Name, version: str) -> None:  # noqa: ARG001  # FastAPI describes it
        """Models have no versions here."""
        engine.registry.get(model_name)
        raise errors.NotSupported("Model versioning not supported yet.")

    versions = "/v2/models/{model_name}/versions/{version}"
    for method, path in (("GET", ""), ("GET", "/ready"), ("POST", "/infer"), ("POST", "/explain")):
        made.add_api_route(
            versions + path,
            versioned,
            methods=[method],
            tags=["v2"],
            responses=_NOT_FOUND | _OFF,
            status_code=501,
            operation_id=f"versioned{path.replace('/', '_') or '_metadata'}",
        )


def _add_repository(made: fastapi.APIRouter, engine: Engine) -> None:
    def allowed() -> None:
        if not engine.settings.enable_repository_api:
            raise errors.NotSupported("The repository API is turned off on this server.")

    guarded = {"tags": ["repository"], "dependencies": [fastapi.Depends(allowed)]}

    @made.post("/v2/repository/index", **guarded, responses=_MALFORMED | _OFF)  # type: ignore[arg-type]  # a dict of keyword arguments
    async def index(query: IndexRequest | None = None) -> list[IndexEntry]:
        """The known models, with their states."""
        only_ready = query is not None and query.ready
        return [
            IndexEntry(name=entry.name, version="", state=entry.state, reason=entry.reason)
            for entry in engine.registry
            if entry.serving is not None or not only_ready
        ]

    @made.post("/v2/repository/models/{model_name}/load", **guarded, responses=_NOT_FOUND | _NOT_READY | _OFF)  # type: ignore[arg-type]  # as above
    async def load(model_name: Name) -> dict[str, str | bool]:
        """Load a model of the repository, or load a known one anew while the old one goes on answering."""
        await engine.load(model_name)
        return {"name": model_name, "load": True}

    @made.post("/v2/repository/models/{model_name}/unload", **guarded, responses=_NOT_FOUND | _OFF)  # type: ignore[arg-type]  # as above
    async def unload(model_name: Name) -> dict[str, str | bool]:
        """Take a model out of service once its requests in flight are answered."""
        await engine.unload(model_name)
        return {"name": model_name, "unload": True}


def _tensor(spec: TensorSpec) -> TensorMetadata:
    return TensorMetadata(name=spec.name, datatype=spec.datatype.value, shape=list(spec.shape))
