"""Where the files of a model, of a version or of a run are: what the tracking server answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fairlead import errors
from fairlead_storage_mlflow import addresses
from fairlead_storage_mlflow.addresses import Alias, Artifacts, LoggedModel, Run, Version
from fairlead_storage_mlflow.server import Missing

if TYPE_CHECKING:
    from fairlead_storage_mlflow.addresses import Address
    from fairlead_storage_mlflow.server import Server

__all__ = ["locate"]

_MAX_HOPS: Final = 5
_MODEL: Final = "mlflow/logged-models"


def locate(server: Server, address: Address) -> str:
    """The URI of the files that an address names, as MLflow writes it; it may be of any store.

    Raises:
        ArtifactNotFound: there is no such model, version, alias, stage or run.
        StorageError: as `Server.ask`.
    """
    for _ in range(_MAX_HOPS):
        uri = _step(server, address)
        if uri.partition(":")[0] not in ("models", "runs"):
            return uri
        address = addresses.parse(uri)  # a version may be registered from another model or a run
    raise errors.StorageError("The model stands for a model that stands for another, and so on.")


def _step(server: Server, address: Address) -> str:
    if isinstance(address, Artifacts):
        authority = f"//{address.authority}" if address.authority else ""
        return f"mlflow-artifacts:{authority}/{address.path}"
    if isinstance(address, Run):
        return _run(server, address)
    if isinstance(address, LoggedModel):
        return _joined(_logged_model(server, address.identifier), address.path)
    version = _number(server, address)
    answer = _known(
        server,
        "mlflow/model-versions/get-download-uri",
        _version(address.name, version),
        name=address.name,
        version=version,
    )
    return _joined(_text(answer, "artifact_uri"), address.path)


def _number(server: Server, address: Version | Alias) -> str:
    """The number of a version."""
    if isinstance(address, Alias):
        question, what = "mlflow/registered-models/alias", f"no alias {address.alias!a} of a model {address.name!a}"
        found = _known(server, question, what, name=address.name, alias=address.alias)
        return _text(found, "model_version", "version")
    if address.version.isdigit():
        return address.version
    what = f"no model {address.name!a}"
    # What MLflow's own client asks for `latest`: the newest version of each stage.
    answer = _known(server, "mlflow/registered-models/get-latest-versions", what, name=address.name)
    versions = [each for each in answer.get("model_versions", []) if isinstance(each, dict)]
    if address.version != addresses.LATEST:
        wanted = address.version.lower()
        versions = [each for each in versions if str(each.get("current_stage", "")).lower() == wanted]
        what = f"no version of {address.name!a} in the stage {address.version!a}"
    if not versions:
        raise errors.ArtifactNotFound(f"The registry has {what}.", remedy="Name a version or an alias.")
    return str(max(int(_text(each, "version")) for each in versions))


def _logged_model(server: Server, identifier: str) -> str:
    answer = _known(server, f"{_MODEL}/{identifier}", f"no logged model {identifier}", registry=False)
    status = answer.get("model", {}).get("info", {}).get("status", "")
    if status == "LOGGED_MODEL_PENDING":
        raise errors.StorageUnavailable(f"The model {identifier} is still being logged.")
    if status == "LOGGED_MODEL_UPLOAD_FAILED":
        raise errors.StorageError(f"The model {identifier} was not logged to its end.", remedy="Log it again.")
    return _text(answer, "model", "info", "artifact_uri")


def _run(server: Server, address: Run) -> str:
    """Where artefacts of a run are. Since MLflow 3 a model that it logged is not among them, and goes by its name."""
    answer = _known(
        server, "mlflow/runs/get", f"no run {address.identifier}", registry=False, run_id=address.identifier
    )
    own = _joined(_text(answer, "run", "info", "artifact_uri"), address.path)
    name, _, path = address.path.partition("/")
    identifier = _model_of_run(server, address.identifier, _text(answer, "run", "info", "experiment_id"), name)
    if identifier is None:
        return own
    run = {"run_id": address.identifier, "path": name}
    listed = _known(server, "mlflow/artifacts/list", f"no run {address.identifier}", registry=False, **run)
    if listed.get("files"):
        raise errors.StorageError(
            f"The run {address.identifier} has artefacts {name!a}, and logged a model of that name.",
            remedy=f"Name the model by its id, models:/{identifier}",
        )
    return _joined(_logged_model(server, identifier), path)


def _model_of_run(server: Server, run: str, experiment: str, name: str) -> str | None:
    """The id of the model that a run logged under a name, the newest where there are several."""
    quote = "'" if "'" not in name else '"'
    if not name or quote in name:
        return None
    body: dict[str, Any] = {
        "experiment_ids": [experiment],
        "filter": f"name = {quote}{name}{quote} AND source_run_id = '{run}'",
        "order_by": [{"field_name": "creation_timestamp", "ascending": False}],
        "max_results": 1,
    }
    try:
        answer = server.ask(f"{_MODEL}/search", body=body)
    except Missing:  # before MLflow 3 there were none
        return None
    for each in answer.get("models", []):
        return _text(each, "info", "model_id")
    return None


def _known(server: Server, question: str, what: str, *, registry: bool = True, **parameters: str) -> Any:
    try:
        answer = server.ask(question, registry=registry, **parameters)
    except Missing:
        raise errors.ArtifactNotFound(f"{server.url} knows {what}.") from None
    if not isinstance(answer, dict):
        raise errors.StorageError(f"{server.url} does not answer as MLflow's tracking server does.")
    return answer


def _version(name: str, version: str) -> str:
    return f"no version {version} of a model {name!a}"


def _text(answer: Any, *keys: str) -> str:
    for key in keys:
        answer = answer.get(key) if isinstance(answer, dict) else None
    if not isinstance(answer, (str, int)) or answer == "":
        raise errors.StorageError(f"The tracking server does not say the {keys[-1]} of what it was asked for.")
    return str(answer)


def _joined(uri: str, path: str) -> str:
    return f"{uri.rstrip('/')}/{path}" if path else uri
