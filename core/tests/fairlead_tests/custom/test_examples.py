"""The examples: they pass the strictest type check, and they answer."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fairlead import CustomModel, errors
from fairlead_tests.custom.asking import answer, ask, tensors
from fairlead_tests.custom.test_docs import BLOCKS

if TYPE_CHECKING:
    from fairlead_tests.custom.conftest import Load, Write

EXAMPLES = Path(__file__).parents[4] / "examples" / "custom_model"


Strict = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Strict:
    """Check files; what mypy has read of libraries is read once."""
    cache = tmp_path_factory.mktemp("mypy")

    def check(*paths: Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(cache), *map(str, paths)]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=EXAMPLES)

    return check


def test_every_block_of_the_page_passes_mypy_strict(write: Write, strict: Strict) -> None:
    checked = strict(*(write(block, f"block_{number}.py", header="") for number, block in enumerate(BLOCKS)))
    assert checked.returncode == 0, checked.stdout


def test_the_examples_and_every_kind_of_hook_pass_mypy_strict(write: Write, strict: Strict) -> None:
    path = write("""
    class Everything(CustomModel):
        inputs = (TensorSpec("x", Datatype.FP32, (-1,)),)
        outputs = [TensorSpec("x", Datatype.FP32, (-1,))]
        batching = False

        def __init__(self) -> None:
            self.clients: list[str] = []

        async def load(self) -> None:
            self.clients.append(self.name)

        def sample(self) -> np.ndarray:
            return np.zeros(1)

        async def preprocess(self, table: pd.DataFrame, headers: dict[str, str]) -> NDArray[np.float32]:
            return table.to_numpy(np.float32)

        def predict(self, x: NDArray[np.float32], request: InferRequest) -> dict[str, NDArray[np.float32]]:
            return {request.model_name: x}

        async def explain(self, x: NDArray[np.float32]) -> InferResponse:
            return InferResponse(model_name=self.name, outputs=[Tensor.from_numpy("x", x)])

        def postprocess(self, result: Any) -> bytes:
            return bytes(result)

        async def unload(self) -> None: ...
    """)
    checked = strict(path, *EXAMPLES.glob("*.py"))
    assert checked.returncode == 0, checked.stdout


def test_the_smallest_model_has_fewer_than_fifteen_lines() -> None:
    assert len((EXAMPLES / "doubler.py").read_text().splitlines()) < 15


def test_an_authors_class_can_be_called_without_a_server() -> None:
    class Doubler(CustomModel):
        def predict(self, x: int) -> int:
            return x * 2

    assert Doubler().predict(2) == 4


def test_the_doubler_doubles(load: Load) -> None:
    assert ask(load(EXAMPLES / "doubler.py"), inputs=tensors(x=[1.5])).output("output-0").data.tolist() == [3.0]


def test_the_sentiment_model_answers_its_sample_and_reads_the_lexicon_beside_it(load: Load, tmp_path: Path) -> None:
    model = load(EXAMPLES / "sentiment.py", name="reviews")
    (sample,) = model.samples()
    assert answer(model, sample).payload["predictions"] == [{"label": "positive", "confidence": 0.762}]
    shutil.copy(EXAMPLES / "sentiment.py", tmp_path)
    (tmp_path / "lexicon.json").write_text('{"dull": -1}')
    body = {"instances": ["A dull film", "good"]}
    labels = [each["label"] for each in ask(load(tmp_path), payload=body).payload["predictions"]]
    assert labels == ["negative", "neutral"]
    with pytest.raises(errors.InvalidInput, match="instance 0 is not a text"):
        ask(model, payload={"instances": [1]})


class Upstream(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        answer = {"predictions": body["instances"], "id": self.headers["x-request-id"]}
        content = json.dumps(answer).encode()
        self.send_response(200 if self.path == "/v1/models/m:predict" else 404)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None: ...


@pytest.fixture
def upstream() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Upstream) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1/models/m"
        server.shutdown()
        thread.join()


def test_the_proxy_asks_another_server_and_adds_to_its_answer(load: Load, upstream: str) -> None:
    model = load(EXAMPLES / "async_proxy.py", name="front", options=json.dumps({"upstream": upstream}))
    response = ask(model, payload={"instances": [1, 2]}, headers={"x-request-id": "7", "host": "front"})
    assert response.payload == {"predictions": [1, 2], "id": "7", "served_by": "front"}
