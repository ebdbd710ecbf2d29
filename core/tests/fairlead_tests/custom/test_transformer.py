"""Models without predict: what goes to the predictor, what comes back, and what a client is told when nothing does."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Coroutine, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pytest

from fairlead import errors
from fairlead.contracts import deadline
from fairlead.contracts.runtime import AnyModel, AsyncModel
from fairlead.contracts.tensors import InferRequest, InferResponse
from fairlead_tests.custom.asking import tensors
from fairlead_tests.custom.predictors import Predictor, predictor

if TYPE_CHECKING:
    from fairlead_tests.custom.conftest import Load, Write

T = TypeVar("T")

BOTH = """
class M(CustomModel):
    def preprocess(self, x: np.ndarray) -> np.ndarray: return x * 10
    def postprocess(self, y: np.ndarray) -> np.ndarray: return y + 1
"""
AFTER = "class M(CustomModel):\n    def postprocess(self, answer: {}): return {}\n"


@pytest.fixture(autouse=True)
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """The event loop of a server: connections are kept on it until the model is unloaded."""
    made = asyncio.new_event_loop()
    thread = threading.Thread(target=made.run_forever)
    thread.start()
    _LOOPS.append(made)
    try:
        yield made
    finally:
        _LOOPS.remove(made)
        asyncio.run_coroutine_threadsafe(_settled(), made).result(10)
        made.call_soon_threadsafe(made.stop)
        thread.join(10)
        made.close()


_LOOPS: list[asyncio.AbstractEventLoop] = []


async def _settled() -> None:
    """Wait until what closes connections has done so."""
    await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))
    for _ in range(3):
        await asyncio.sleep(0)


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run_coroutine_threadsafe(work, _LOOPS[-1]).result(30)


async def _awaited(answer: Any) -> InferResponse:
    response: InferResponse = await answer
    return response


def ask(model: AnyModel, **request: Any) -> InferResponse:
    """The answer to a request with these fields."""
    return run(_awaited(model.predict(InferRequest(model_name="m", **request))))


@pytest.fixture
def asked() -> Iterator[Predictor]:
    with predictor() as made:
        yield made


def test_preprocess_and_postprocess_stand_around_the_predictor(asked: Predictor, write: Write, load: Load) -> None:
    model = load(write(BOTH), predictor_host=asked.host)
    answer = ask(model, inputs=tensors(x=[[1, 2]]))
    assert answer.output("output-0").data.tolist() == [[11, 21]]
    assert asked.asked[0].path == "/v1/models/m:predict"
    assert asked.asked[0].json == {"instances": [[10, 20]]}


def test_without_preprocess_the_client_s_own_json_is_sent_and_comes_back_as_it_is(
    asked: Predictor, write: Write, load: Load
) -> None:
    asked.say(200, {"predictions": [1, 2.5], "version": "3"})
    model = load(write("class M(CustomModel): pass\n"), predictor_host=asked.host)
    body = {"instances": [{"a": 1}, [2]], "more": True}
    assert ask(model, payload=body).payload == {"predictions": [1, 2.5], "version": "3"}
    assert asked.asked[0].json == body
    # Over V2 the same answer is tensors.
    assert ask(model, inputs=tensors(x=[1])).output("output-0").data.tolist() == [1, 2.5]


@pytest.mark.parametrize(
    ("annotation", "result", "expected"),
    [
        ("dict", "{'sum': sum(answer['predictions'])}", {"sum": 6}),
        ("list", "{'first': answer[0]}", {"first": 1}),
        ("InferResponse", "{'name': answer.outputs[0].name}", {"name": "output-0"}),
        ("Any", "{'name': answer.outputs[0].name}", {"name": "output-0"}),
        ("np.ndarray", "{'sum': int(answer.sum())}", {"sum": 6}),
        ("NDArray[np.float32]", "{'dtype': answer.dtype.name}", {"dtype": "float32"}),
        ("dict[str, np.ndarray]", "{'names': list(answer)}", {"names": ["output-0"]}),
        ("pd.DataFrame", "{'columns': list(answer.columns)}", {"columns": ["output-0"]}),
    ],
)
def test_postprocess_gets_the_answer_as_it_is_annotated(
    asked: Predictor, write: Write, load: Load, annotation: str, result: str, expected: Any
) -> None:
    model = load(write(AFTER.format(annotation, result)), predictor_host=asked.host)
    assert ask(model, payload={"instances": [1, 2, 3]}).payload == expected


def test_an_answer_that_postprocess_does_not_take_is_no_mistake_of_the_client(
    asked: Predictor, write: Write, load: Load
) -> None:
    asked.say(200, {"predictions": [{"a": 1, "b": 2}]})
    model = load(write(AFTER.format("np.ndarray", "answer")), predictor_host=asked.host)
    with pytest.raises(errors.InferenceFailed, match=r"postprocess takes .*'a', 'b'"):
        ask(model, payload={"instances": [1]})


@pytest.mark.parametrize("protocol", ["v2", "grpc-v2"])
def test_json_is_no_annotation_for_the_answer_of_a_protocol_of_tensors(
    asked: Predictor, write: Write, load: Load, protocol: str
) -> None:
    with pytest.raises(errors.ModelLoadError, match=f"postprocess takes JSON, and the predictor answers {protocol}"):
        load(write(AFTER.format("dict", "answer")), predictor_host=asked.host, predictor_protocol=protocol)


def test_only_headers_that_say_who_asks_and_for_which_trace_are_passed_on(
    asked: Predictor, write: Write, load: Load
) -> None:
    model = load(write(BOTH), predictor_host=asked.host)
    passed = {"authorization": "Bearer a", "x-request-id": "7", "traceparent": f"00-{1:032x}-{1:016x}-01"}
    ask(model, inputs=tensors(x=[1]), headers={**passed, "cookie": "c", "content-length": "9", "x-other": "o"})
    sent = asked.asked[0].headers
    assert {name: sent.get(name) for name in passed} == passed
    assert not {"cookie", "x-other"} & sent.keys()


def test_the_predictor_is_told_how_long_the_client_waits(asked: Predictor, write: Write, load: Load) -> None:
    model = load(write(BOTH), predictor_host=asked.host)
    assert isinstance(model, AsyncModel)

    async def patient(seconds: float) -> InferResponse:
        deadline.begin(seconds)
        return await model.predict(InferRequest(model_name="m", inputs=tensors(x=[1])))

    run(patient(30))
    assert 0 < float(asked.asked[0].headers["x-request-timeout"]) <= 30
    with pytest.raises(errors.DeadlineExceeded):
        run(patient(-1))
    assert len(asked.asked) == 1


@pytest.mark.parametrize(
    ("status", "expected", "text"),
    [
        (400, 400, "no such thing"),
        (401, 401, "no such thing"),
        (404, 404, "no such thing"),
        (422, 422, "no such thing"),
        (429, 429, "no such thing"),
        (500, 502, r"failed \(500\): no such thing"),
        (501, 501, r"failed \(501\): no such thing"),
        (503, 503, r"failed \(503\): no such thing"),
        (302, 502, r"failed \(302\)"),
    ],
)
def test_errors_of_the_predictor_keep_their_text(
    asked: Predictor, write: Write, load: Load, status: int, expected: int, text: str
) -> None:
    model = load(write(BOTH), predictor_host=asked.host)
    asked.say(status, {"error": "no such thing"}, retry_after="7")
    with pytest.raises(errors.PredictorFailed, match=text) as caught:
        ask(model, inputs=tensors(x=[1]))
    assert (caught.value.status, caught.value.retry_after) == (expected, 7)


@pytest.mark.parametrize("body", [b"not json", b""])
def test_an_answer_that_is_none_is_the_predictor_s_fault(
    asked: Predictor, write: Write, load: Load, body: bytes
) -> None:
    asked.say(200, body)
    model = load(write(BOTH), predictor_host=asked.host)
    with pytest.raises(errors.PredictorFailed, match="cannot be read"):
        ask(model, inputs=tensors(x=[1]))


@pytest.mark.parametrize("protocol", ["v1", "v2", "grpc-v2"])
def test_a_predictor_that_cannot_be_reached_is_unavailable(write: Write, load: Load, protocol: str) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))  # and does not listen: while it is held, nobody else does there
        host = f"127.0.0.1:{sock.getsockname()[1]}"
        model = load(write(BOTH), predictor_host=host, predictor_protocol=protocol)
        with pytest.raises(errors.PredictorUnavailable, match=f"The predictor at {host} cannot be reached"):
            ask(model, inputs=tensors(x=[1]))


def test_a_request_whose_connection_breaks_is_not_sent_again(asked: Predictor, write: Write, load: Load) -> None:
    model = load(write(BOTH), predictor_host=asked.host)
    asked.answer = lambda _: (0, {}, b"")
    with pytest.raises(errors.PredictorUnavailable, match="closed the connection before it had answered"):
        ask(model, inputs=tensors(x=[1]))
    assert len(asked.asked) == 1


def test_connections_are_kept_and_requests_overlap(asked: Predictor, write: Write, load: Load) -> None:
    model = load(write(BOTH), predictor_host=asked.host)
    assert isinstance(model, AsyncModel)
    request = InferRequest(model_name="m", inputs=tensors(x=[1]))
    echo, together = asked.answer, threading.Barrier(3)

    async def some() -> None:
        for _ in range(3):
            await model.predict(request)
        assert len({each.port for each in asked.asked}) == 1
        asked.answer = lambda each: (together.wait(10), echo(each))[1]
        await asyncio.gather(*(model.predict(request) for _ in range(3)))

    run(some())
    assert len({each.port for each in asked.asked}) == 3


def test_a_model_of_its_own_asks_the_predictor_as_often_as_it_likes(asked: Predictor, write: Write, load: Load) -> None:
    model = load(
        write("""
        class Explainer(CustomModel):
            async def explain(self, x: np.ndarray) -> np.ndarray:
                answers = []
                for scale in (1, 2):
                    tensor = Tensor.from_numpy("x", x * scale)
                    answers.append(await self.predictor.predict(InferRequest(model_name="", inputs=[tensor])))
                return answers[1].output("output-0").data - answers[0].output("output-0").data
        """),
        predictor_host=asked.host,
    )
    assert isinstance(model, AsyncModel)
    request = InferRequest(model_name="m", inputs=tensors(x=[3, 4]), headers={"authorization": "Bearer a"})
    assert run(_awaited(model.explain(request))).output("output-0").data.tolist() == [3, 4]
    assert [each.headers["authorization"] for each in asked.asked] == ["Bearer a", "Bearer a"]
    # Predictions of an explainer are those of the predictor.
    assert run(_awaited(model.predict(request))).output("output-0").data.tolist() == [3, 4]


def test_a_transformer_is_ready_without_its_predictor(write: Write, load: Load) -> None:
    source = BOTH + "    inputs = (TensorSpec('x', Datatype.FP32, (-1, 2)),)\n"
    model = load(write(source), predictor_host="nowhere.invalid")
    assert list(model.samples()) == []
    assert "not tried" in model.untried


def test_without_a_predictor_predict_is_missed_and_the_flag_is_named(write: Write, load: Load) -> None:
    with pytest.raises(errors.ModelLoadError, match=r"defines no predict.*--predictor_host"):
        load(write(BOTH))
    model = load(write("class M(CustomModel):\n    async def predict(self, x): return self.predictor\n", "own.py"))
    with pytest.raises(errors.NotSupported, match="Serve it with --predictor_host"):
        ask(model, inputs=tensors(x=[1]))


@pytest.mark.parametrize("host", ["http://iris", "iris/path", "iris:none", "", "user@iris", "iris:99999"])
def test_what_is_no_host_is_refused(write: Write, load: Load, host: str) -> None:
    kind: type[errors.FairleadError] = errors.ConfigurationError if host else errors.ModelLoadError
    with pytest.raises(kind, match="predictor_host"):
        load(write(BOTH), predictor_host=host)


def test_tensors_reach_v1_as_records_and_text_as_text(asked: Predictor, write: Write, load: Load) -> None:
    model = load(
        write("""
        class M(CustomModel):
            def preprocess(self, texts: list[str]) -> dict[str, np.ndarray]:
                return {"text": np.array(texts), "size": np.array([len(text) for text in texts])}
        """),
        predictor_host=asked.host,
    )
    answer = ask(model, inputs=tensors(x=np.array(["a", "bc"], dtype=object)))
    assert asked.asked[0].json == {"instances": [{"text": "a", "size": 1}, {"text": "bc", "size": 2}]}
    assert answer.output("size").data.tolist() == [1, 2]
    assert answer.output("text").data.tolist() == [b"a", b"bc"]
    assert isinstance(answer.output("size").data, np.ndarray)


@pytest.mark.parametrize(
    "body",
    [
        {"predictions": [{"a": [1, 2], "b": 0.5}, {"a": [3, 4], "b": 1.5}]},
        {"outputs": {"a": [[1, 2], [3, 4]], "b": [0.5, 1.5]}},
    ],
    ids=["rows", "columns"],
)
def test_postprocess_gets_answers_of_named_tensors_in_rows_and_in_columns(
    asked: Predictor, write: Write, load: Load, body: Any
) -> None:
    asked.say(200, body)
    returned = "{name: array.tolist() for name, array in answer.items()}"
    model = load(write(AFTER.format("dict[str, np.ndarray]", returned)), predictor_host=asked.host)
    assert ask(model, payload={"instances": [1]}).payload == {"a": [[1, 2], [3, 4]], "b": [0.5, 1.5]}


def test_a_request_in_columns_reaches_a_predictor_of_tensors(asked: Predictor, write: Write, load: Load) -> None:
    asked.say(200, {"model_name": "m", "outputs": [{"name": "y", "shape": [1], "datatype": "INT64", "data": [7]}]})
    model = load(write(AFTER.format("np.ndarray", "answer")), predictor_host=asked.host, predictor_protocol="v2")
    body = {"inputs": {"a": [[1, 2]], "b": ["x"]}, "signature_name": "other"}
    assert ask(model, payload=body, parameters={"top": 3}).output("output-0").data.tolist() == [7]
    sent, _ = json.JSONDecoder().raw_decode(asked.asked[0].body.decode("latin-1"))
    assert [(each["name"], each["datatype"], each["shape"]) for each in sent["inputs"]] == [
        ("a", "INT64", [1, 2]),
        ("b", "BYTES", [1]),
    ]
    assert sent["parameters"] == {"signature_name": "other", "top": 3, "binary_data_output": True}
