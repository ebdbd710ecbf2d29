"""What certain model servers need beside what their runtime says, known by their server type."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from fairlead.api.servingruntime import ClusterServingRuntime, ServingRuntime

__all__ = ["ANNOTATION", "Additions", "additions", "default_protocol", "server_type", "type_of_name"]

ANNOTATION: Final = "serving.kserve.io/server-type"
"""On a runtime: the server within its image."""

_PROTOCOLS: Final = {"mlserver": "v2", "torchserve": "v1", "tritonserver": "v2"}
_BY_NAME: Final = {
    f"kserve-{each}": each
    for each in ("mlserver", "torchserve", "tritonserver", "tensorflow-serving", "huggingfaceserver", "vllmserver")
}
_MLSERVER: Final = {
    "lightgbm": "mlserver_lightgbm.LightGBMModel",
    "mlflow": "mlserver_mlflow.MLflowRuntime",
    "xgboost": "mlserver_xgboost.XGBoostModel",
}
_MLSERVER_DEFAULT: Final = "mlserver_sklearn.SKLearnModel"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Additions:
    """What is added to an InferenceService for its server.

    Attributes:
        labels: labels of the InferenceService.
        env: environment variables of the model's container that it does not set itself.
        args: arguments of that container that it does not have.
    """

    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    env: Mapping[str, str] = dataclasses.field(default_factory=dict)
    args: tuple[str, ...] = ()

    def applied(self, container: Mapping[str, Any]) -> dict[str, Any]:
        """A container with the variables and the arguments added."""
        env = list(container.get("env") or ())
        known = {each.get("name") for each in env}
        env += [{"name": name, "value": value} for name, value in self.env.items() if name not in known]
        args = list(container.get("args") or ())
        args += [each for each in self.args if each not in args]
        return {**container, **({"env": env} if env else {}), **({"args": args} if args else {})}


def server_type(runtime: ServingRuntime | ClusterServingRuntime) -> str | None:
    """The server of a runtime: what its annotation says, or else its name; None when neither does."""
    return (runtime.metadata.annotations or {}).get(ANNOTATION) or type_of_name(runtime.metadata.name)


def type_of_name(runtime: str) -> str | None:
    """The server of a runtime that is known by its name alone."""
    return _BY_NAME.get(runtime)


def default_protocol(server: str | None) -> str | None:
    """The protocol of a model that names none, where its server decides."""
    return _PROTOCOLS.get(server or "")


def additions(server: str | None, *, model: str, model_format: str, protocol: str, stored: bool) -> Additions:
    """What is added to an InferenceService for its server.

    Args:
        server: the server type.
        model: the name of the InferenceService.
        model_format: the format of its model.
        protocol: the protocol that the model is asked in.
        stored: whether the model is fetched from somewhere.
    """
    match server:
        case "mlserver":
            env = (
                {"MLSERVER_MODEL_NAME": model, "MLSERVER_MODEL_URI": "/mnt/models"}
                if stored
                else {"MLSERVER_LOAD_MODELS_AT_STARTUP": "false"}
            )
            return Additions(labels={"modelClass": _MLSERVER.get(model_format, _MLSERVER_DEFAULT)}, env=env)
        case "torchserve":
            envelope = "kservev2" if protocol in ("v2", "grpc-v2") else "kserve"
            return Additions(labels={"serviceEnvelope": envelope}, env={"PROTOCOL_VERSION": protocol})
        case "tritonserver" if not stored:
            return Additions(args=("--model-control-mode=explicit",))
    return Additions()
