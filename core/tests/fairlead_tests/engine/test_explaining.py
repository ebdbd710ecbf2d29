"""A model and its explainer, in one process and as a component of its own, seen from a running server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tritonclient.http as triton

from fairlead import AsyncModel, Model, errors
from fairlead.engine.explained import AsyncExplainedModel, ExplainedModel
from fairlead.engine.repository import Repository
from fairlead.testing import RunningServer, running_server
from fairlead_tests.engine import explainers
from fairlead_tests.engine.explainers import ROWS, asked, explained, v2
from fairlead_tests.engine.leaving import posted
from fairlead_tests.models import DOUBLER, write
from fairlead_tests.plugins import distributions
from fairlead_tests.waiting import eventually

ECHO = """
    import json
    from fairlead import CustomModel, InferRequest, InferResponse

    class Recorder(CustomModel):
        def predict(self, request: InferRequest) -> InferResponse:
            said = [request.payload is None, len(request.outputs), dict(request.parameters), len(request.headers) > 0]
            (self.artifact / "said.json").write_text(json.dumps(said))
            return InferResponse(model_name="", outputs=request.inputs)
"""

SLOW_ASYNC = """
    import asyncio
    import numpy as np
    from fairlead import CustomModel

    class Slow(CustomModel):
        async def predict(self, x: np.ndarray) -> np.ndarray:
            (self.artifact / "asked").touch()
            try:
                await asyncio.sleep(60 if x.flat[0] == 9 else 0)
            except asyncio.CancelledError:
                (self.artifact / "cancelled").touch()
                raise
            return x * 2
"""


REFUSING = DOUBLER.replace("import CustomModel", "import errors, CustomModel").replace(
    "return x * 2", "raise errors.InvalidInput('not these')"
)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[distributions.Site]:
    made = distributions.planted(tmp_path, monkeypatch)
    yield made
    made.forget()


@pytest.fixture
def installed(site: distributions.Site) -> None:
    explainers.install(site)


@pytest.fixture
def server(installed: None, tmp_path: Path) -> Iterator[RunningServer]:
    """A model that doubles, and its explainer."""
    model = write(tmp_path / "doubler", DOUBLER)
    with running_server({"doubler": model}, **explained(tmp_path), explain_max_calls=10) as running:
        yield running


# -- over the protocols ---------------------------------------------------------------------------------


def test_tensors_are_objects_for_each_row_over_v1(server: RunningServer) -> None:
    answer = server.client.post("/v1/models/doubler:explain", json=ROWS).json()
    assert answer == {
        "explanations": [{"difference": [2.0, 4.0], "base": 0.0}, {"difference": [6.0, 8.0], "base": 0.0}]
    }


def test_tensors_are_outputs_over_v2(server: RunningServer) -> None:
    answer = server.client.post("/v2/models/doubler/explain", json={**v2(), "id": "7"}).json()
    assert (answer["model_name"], answer["id"]) == ("doubler", "7")
    assert [(each["name"], each["data"]) for each in answer["outputs"]] == [("difference", [2.0, 4.0]), ("base", [0.0])]


def test_binary_tensors_go_both_ways_over_v2(server: RunningServer) -> None:
    tensor = triton.InferInput("x", [1, 2], "FP64")
    tensor.set_data_from_numpy(np.array([[1.0, 2.0]]))
    wanted = [triton.InferRequestedOutput("difference", binary_data=True)]
    body, length = triton.InferenceServerClient.generate_request_body([tensor], outputs=wanted)
    headers = {"inference-header-content-length": str(length)}
    answer = server.client.post("/v2/models/doubler/explain", content=body, headers=headers)
    head = int(answer.headers["inference-header-content-length"])
    assert np.frombuffer(answer.content[head:]).tolist() == [2.0, 4.0]


def test_json_of_an_explainer_is_as_it_is_over_v1_and_the_text_of_one_output_over_v2(server: RunningServer) -> None:
    document = {"why": ["because"], "beside": True}
    assert server.client.post("/v1/models/doubler:explain", json=asked("document")).json() == document
    (output,) = server.client.post("/v2/models/doubler/explain", json=v2("document")).json()["outputs"]
    assert (output["name"], output["datatype"], output["shape"]) == ("explanation", "BYTES", [1])
    assert json.loads(output["data"][0]) == document


def test_a_list_is_the_explanations_over_v1(server: RunningServer) -> None:
    assert server.client.post("/v1/models/doubler:explain", json=asked("listed")).json() == {"explanations": [1, 2]}


def test_the_path_with_a_version_answers_as_that_of_infer(server: RunningServer) -> None:
    answer = server.client.post("/v2/models/doubler/versions/1/explain", json=v2())
    assert (answer.status_code, answer.json()) == (501, {"error": "Model versioning not supported yet."})


def test_a_model_without_explainer_does_not_explain(tmp_path: Path) -> None:
    with running_server({"doubler": write(tmp_path, DOUBLER)}) as running:
        for path, body in (("/v1/models/doubler:explain", ROWS), ("/v2/models/doubler/explain", v2())):
            answer = running.client.post(path, json=body)
            assert answer.status_code == 501
            assert answer.json() == {"error": "Model with name doubler does not explain its predictions."}


def test_predictions_are_as_without_explainer(server: RunningServer) -> None:
    assert server.client.post("/v1/models/doubler:predict", json=ROWS).json() == {"predictions": [[2, 4], [6, 8]]}
    metadata = server.client.get("/v2/models/doubler").json()
    assert metadata["inputs"] == [{"name": "x", "datatype": "FP64", "shape": [-1, 2]}]


def test_explanations_are_measured(server: RunningServer) -> None:
    server.client.post("/v1/models/doubler:explain", json=ROWS)
    text = server.client.get("/metrics").text
    assert 'request_explain_seconds_count{model_name="doubler"} 1.0' in text


@pytest.mark.parametrize(("explained", "base"), [(ExplainedModel, Model), (AsyncExplainedModel, AsyncModel)])
def test_whatever_is_known_of_a_model_is_known_of_it_with_an_explainer(explained: type, base: type) -> None:
    taken = {"saved_with", "untried", "notes", "native", "features"}  # as attributes
    names = {name for name in dir(base) if not name.startswith("_")}
    assert names - taken == {name for name in vars(explained) if not name.startswith("_")}


# -- what the model is asked ----------------------------------------------------------------------------


def test_the_model_is_not_told_what_was_said_of_the_explanation(installed: None, tmp_path: Path) -> None:
    model = write(tmp_path / "recorder", ECHO)
    with running_server({"recorder": model}, **explained(tmp_path)) as running:
        answer = running.client.post(
            "/v2/models/recorder/explain", json=v2(outputs=[{"name": "difference"}], id="1")
        ).json()
        assert [each["name"] for each in answer["outputs"]] == ["difference"]
        running.client.post("/v1/models/recorder:explain", json={"instances": [[1, 2]], "parameters": {"method": "m"}})
    no_payload, outputs, parameters, headers = json.loads((tmp_path / "recorder" / "said.json").read_text())
    assert (no_payload, outputs, parameters, headers) == (True, 0, {"method": "m"}, True)


def test_an_explanation_is_never_made_on_the_event_loop(installed: None, tmp_path: Path) -> None:
    source = DOUBLER.replace("batching = True", "batching = any_thread = True")
    with running_server({"doubler": write(tmp_path, source)}, **explained(tmp_path)) as running:
        for _ in range(20):  # until calls of this size are known to be short
            running.client.post("/v1/models/doubler:predict", json={"instances": [[1, 2]]})
        answer = running.client.post("/v1/models/doubler:explain", json=asked("thread")).json()
    assert answer == {"thread": "model-doubler"}


def test_the_files_of_the_explainer_are_fetched(installed: None, tmp_path: Path) -> None:
    (tmp_path / "reference.txt").write_text("reference")
    model = write(tmp_path / "doubler", DOUBLER)
    with running_server(
        {"doubler": model}, **explained(tmp_path), explainer_dir=(tmp_path / "reference.txt").as_uri()
    ) as running:
        answer = running.client.post("/v1/models/doubler:explain", json=asked("artefact")).json()
    assert answer == {"text": "reference"}


# -- bounds ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["endless", "stubborn"])
def test_an_explanation_that_asks_too_often_ends_and_names_the_setting(server: RunningServer, mode: str) -> None:
    answer = server.client.post("/v1/models/doubler:explain", json=asked(mode))
    assert answer.status_code == 422
    assert "may ask the model 10 times" in answer.json()["error"]
    assert "--explain-max-calls, FAIRLEAD_EXPLAIN_MAX_CALLS" in answer.json()["error"]


def test_a_limit_of_zero_is_none(installed: None, tmp_path: Path) -> None:
    model = write(tmp_path / "doubler", DOUBLER)
    with running_server({"doubler": model}, **explained(tmp_path), explain_max_calls=0) as running:
        answer = running.client.post("/v1/models/doubler:explain", json=asked("stubborn"))
    assert answer.json() == {"why": "not known"}


@pytest.mark.parametrize("mode", ["endless", "computing"])
def test_an_explanation_ends_at_the_deadline_and_the_model_goes_on(installed: None, tmp_path: Path, mode: str) -> None:
    model = write(tmp_path / "doubler", DOUBLER)
    with running_server({"doubler": model}, **explained(tmp_path), explain_max_calls=0) as running:
        late = running.client.post("/v1/models/doubler:explain", json=asked(mode), headers={"x-request-timeout": "0.2"})
        assert late.status_code == 504
        assert running.client.post("/v1/models/doubler:predict", json=ROWS).status_code == 200
        assert (tmp_path / f"ended-{mode}").exists()


def test_an_explanation_whose_client_has_gone_ends(installed: None, tmp_path: Path) -> None:
    model = write(tmp_path / "doubler", DOUBLER)
    with running_server({"doubler": model}, **explained(tmp_path), explain_max_calls=0) as running:
        with posted(running, "/v1/models/doubler:explain", asked("endless")):
            eventually((tmp_path / "begun").exists)
        eventually((tmp_path / "ended-endless").exists)
        assert running.client.post("/v1/models/doubler:predict", json=ROWS).status_code == 200


# -- explainers that fail -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "status", "text"),
    [
        ("raises", 500, "KeyError"),
        ("leaves", 500, "SystemExit"),
        ("nonsense", 500, "The explainer probe answered with dict, not an InferResponse."),
        ("wraps", 400, "x"),
    ],
)
def test_an_explainer_that_fails_fails_its_request_alone(
    server: RunningServer, mode: str, status: int, text: str
) -> None:
    answer = server.client.post("/v1/models/doubler:explain", json=asked(mode))
    assert answer.status_code == status
    assert text in answer.json()["error"]
    assert server.client.post("/v1/models/doubler:explain", json=ROWS).status_code == 200


@pytest.mark.parametrize(
    ("fault", "error", "text"),
    [
        (
            "load",
            errors.ModelLoadError,
            r"The explainer probe does not load: ValueError: no reference data \(.*work.py",
        ),
        ("exit", errors.ModelLoadError, "The explainer probe does not load: SystemExit: 3"),
        ("sample", errors.SampleFailed, "The explainer does not explain a sample: ValueError: division by zero"),
        ("refuses", errors.SampleFailed, "The explainer refuses a sample that the model answers: zeros cannot be"),
    ],
)
def test_an_explainer_that_fails_while_it_loads_is_told_with_its_reason(
    installed: None, tmp_path: Path, fault: str, error: type[Exception], text: str
) -> None:
    model = write(tmp_path / "doubler", DOUBLER)
    with pytest.raises(error, match=text), running_server({"doubler": model}, **explained(tmp_path, fault=fault)):
        pass


def test_an_explainer_is_not_asked_for_a_sample_that_the_model_itself_refuses(installed: None, tmp_path: Path) -> None:
    model = write(tmp_path / "doubler", REFUSING)
    with running_server({"doubler": model}, **explained(tmp_path, fault="refuses")) as running:
        (entry,) = running.client.post("/v2/repository/index").json()
    assert "A sample made from its metadata was refused: not these" in entry["reason"]
    assert "Its explainer has explained no sample, because the model answered none." in entry["reason"]


def test_a_model_that_explains_itself_takes_no_explainer(installed: None, tmp_path: Path) -> None:
    source = DOUBLER + "\n        def explain(self, x: np.ndarray) -> np.ndarray:\n            return x\n"
    model = write(tmp_path / "doubler", source)
    with (
        pytest.raises(errors.ModelLoadError, match="explains its predictions itself"),
        running_server({"doubler": model}, **explained(tmp_path)),
    ):
        pass


def test_an_explainer_that_is_not_installed_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(errors.PluginNotInstalled, match="There is no explainer plugin 'probe'"),
        running_server({"doubler": write(tmp_path, DOUBLER)}, **explained(tmp_path)),
    ):
        pass


def test_a_setting_that_the_explainer_has_not_is_refused(installed: None, tmp_path: Path) -> None:
    with (
        pytest.raises(
            errors.ConfigurationError, match=r"Explainer probe has no setting 'foldr' \(it has: fault, folder\)"
        ),
        running_server({"doubler": write(tmp_path, DOUBLER)}, explainer="probe", explainer_options={"foldr": "x"}),
    ):
        pass


def test_an_explainer_is_unloaded_with_its_model(installed: None, tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    model = write(tmp_path / "doubler", DOUBLER)
    with running_server({"doubler": model}, repository=repository, **explained(tmp_path)) as running:
        assert running.client.post("/v2/repository/models/doubler/unload").status_code == 200
        assert (tmp_path / "unloaded").exists()


def test_an_explainer_runs_where_its_spec_permits(site: distributions.Site, tmp_path: Path) -> None:
    explainers.install(site, "in_process=False")
    with (
        pytest.raises(errors.ConfigurationError, match="probe does not run in the process of the model"),
        running_server({"doubler": write(tmp_path, DOUBLER)}, **explained(tmp_path)),
    ):
        pass


def test_an_explainer_that_looks_inside_is_no_component(site: distributions.Site, tmp_path: Path) -> None:
    explainers.install(site, "remote=False")
    with (
        pytest.raises(errors.ConfigurationError, match="probe looks inside the model"),
        running_server({"doubler": None}, predictor_host="127.0.0.1:1", **explained(tmp_path)),
    ):
        pass


# -- models on the event loop ---------------------------------------------------------------------------


def test_a_model_on_the_event_loop_is_explained_and_goes_on_answering(installed: None, tmp_path: Path) -> None:
    model = write(tmp_path / "slow", SLOW_ASYNC)
    with running_server({"slow": model}, **explained(tmp_path), explain_max_calls=0) as running:
        assert running.client.post("/v1/models/slow:explain", json=ROWS).json()["explanations"][1]["difference"] == [
            6,
            8,
        ]
        with posted(running, "/v1/models/slow:explain", asked("endless")):
            eventually((tmp_path / "begun").exists)
            answer = running.client.post("/v1/models/slow:predict", json=ROWS)
            assert answer.json() == {"predictions": [[2, 4], [6, 8]]}
            assert not (tmp_path / "ended-endless").exists()
        eventually((tmp_path / "ended-endless").exists)


def test_the_call_that_is_under_way_ends_with_the_explanation(installed: None, tmp_path: Path) -> None:
    model = write(tmp_path / "slow", SLOW_ASYNC)
    with running_server({"slow": model}, **explained(tmp_path)) as running:
        while not (tmp_path / "slow" / "asked").exists():  # on a busy machine it may end before its first call
            answer = running.client.post(
                "/v1/models/slow:explain", json=asked("endless", [[9, 9]]), headers={"x-request-timeout": "0.3"}
            )
            assert answer.status_code == 504
        eventually((tmp_path / "slow" / "cancelled").exists)
        eventually((tmp_path / "ended-endless").exists)
