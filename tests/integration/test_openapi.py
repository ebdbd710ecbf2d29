"""The server against its own OpenAPI document: whatever the document allows, the server answers as it says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import joblib
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import allow_header_conformance, not_a_server_error, positive_data_acceptance
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from fairlead.engine.engine import Engine
from fairlead.plugins import Plugins
from fairlead.rest.app import Application
from fairlead.settings import ServerSettings
from fairlead.storage.fetcher import Fetcher
from integration.processes import ServerProcess, served


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    path = tmp_path_factory.mktemp("model") / "iris.joblib"
    flowers = load_iris()
    joblib.dump(LogisticRegression(max_iter=500).fit(flowers.data, flowers.target), path)
    with served(path) as running:
        yield running


def document() -> dict[str, Any]:
    """The document as a server gives it; none has to run for that."""
    plugins = Plugins.discover()
    return Application(Engine(plugins, Fetcher(plugins).fetch, ServerSettings())).openapi()


# 501 and 503 are answers that the document announces. A body can keep to the schema and be wrong all the same: its
# shape may not fit its data. And V1 has two routes on paths of one shape, of which the first names its method only.
NOT_HELD = [not_a_server_error, positive_data_acceptance, allow_header_conformance]

schema = schemathesis.openapi.from_dict(document())


def test_the_document_is_the_one_that_a_server_gives(server: ServerProcess) -> None:
    assert server.client.get("/openapi.json").json() == json.loads(json.dumps(document()))


@schema.parametrize()
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_every_operation_keeps_to_the_document(case: Any, server: ServerProcess) -> None:
    response = case.call(base_url=server.url)
    assert response.status_code != 500, response.text
    case.validate_response(response, excluded_checks=NOT_HELD)
    if case.path.endswith("/unload"):
        server.client.post("/v2/repository/models/iris/load")


@schema.include(path_regex="infer|predict").parametrize()
@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_inference_on_a_known_model_keeps_to_the_document(case: Any, server: ServerProcess) -> None:
    case.path_parameters = {**case.path_parameters, "model_name": "iris"}
    response = case.call(base_url=server.url)
    assert response.status_code not in (404, 500), response.text
    case.validate_response(response, excluded_checks=NOT_HELD)


def test_the_server_still_answers(server: ServerProcess) -> None:
    answer = server.client.post("/v1/models/iris:predict", json={"instances": [[5.1, 3.5, 1.4, 0.2]]})
    assert answer.json() == {"predictions": [0]}
