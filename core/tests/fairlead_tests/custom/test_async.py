"""Models with async hooks: one event loop, one thread for what is not async, and no way to end the server."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from fairlead.contracts.runtime import Artifact, AsyncModel, LoadSettings
from fairlead.contracts.tensors import InferRequest
from fairlead.custom.runtime import PythonRuntime
from fairlead_tests.custom.asking import ask, tensors

if TYPE_CHECKING:
    from fairlead.contracts.tensors import InferResponse
    from fairlead_tests.custom.conftest import Load, Write

WHERE = """
import asyncio, threading
class M(CustomModel):
    {preprocess}preprocess(self, x: np.ndarray): return [threading.current_thread().name]
    {predict}predict(self, names): return [*names, threading.current_thread().name]
    def postprocess(self, names): return {{"threads": [*names, threading.current_thread().name]}}
"""


@pytest.mark.parametrize(("preprocess", "predict"), [("async def ", "def "), ("def ", "async def ")])
def test_async_hooks_run_on_the_loop_and_the_others_in_one_thread_beside_it(
    write: Write, load: Load, preprocess: str, predict: str
) -> None:
    model = load(write(WHERE.format(preprocess=preprocess, predict=predict)), name="model")
    assert isinstance(model, AsyncModel)
    threads = ask(model, inputs=tensors(x=[1])).payload["threads"]
    here, beside = threading.current_thread().name, "fairlead-hooks-model"
    assert threads == [here if each.startswith("async") else beside for each in (preprocess, predict, "def")]


def test_requests_to_an_async_model_overlap(write: Write, load: Load) -> None:
    model = load(
        write("""
        import asyncio
        class M(CustomModel):
            def load(self) -> None: self.barrier = asyncio.Barrier(3)
            async def predict(self, x: np.ndarray):
                await self.barrier.wait()
                return x
        """)
    )
    assert isinstance(model, AsyncModel)

    async def three() -> list[InferResponse]:
        requests = [InferRequest(model_name="m", inputs=tensors(x=[number])) for number in range(3)]
        async with asyncio.timeout(10):
            return await asyncio.gather(*(model.predict(request) for request in requests))

    answers = asyncio.run(three())
    assert [answer.output("output-0").data.tolist() for answer in answers] == [[0], [1], [2]]


def test_plain_hooks_of_an_async_model_never_overlap(write: Write, load: Load) -> None:
    model = load(
        write("""
        import threading
        class M(CustomModel):
            def load(self) -> None: self.lock = threading.Lock()
            async def preprocess(self, x: np.ndarray): return x
            def predict(self, x):
                assert self.lock.acquire(blocking=False)
                total = sum(range(20_000))
                self.lock.release()
                return x + total
        """)
    )
    assert isinstance(model, AsyncModel)

    async def many() -> list[InferResponse]:
        request = InferRequest(model_name="m", inputs=tensors(x=[1]))
        return await asyncio.gather(*(model.predict(request) for _ in range(20)))

    assert len(asyncio.run(many())) == 20


@pytest.mark.parametrize("hook", ["async def predict", "def predict"])
@pytest.mark.parametrize("exception", ["SystemExit(1)", "StopIteration()"])
def test_what_would_end_a_loop_reaches_the_caller_as_an_error(
    write: Write, load: Load, hook: str, exception: str
) -> None:
    model = load(
        write(f"""
        class M(CustomModel):
            async def preprocess(self, x: np.ndarray): return x
            {hook}(self, x): raise {exception}
        """)
    )
    with pytest.raises(RuntimeError, match=exception.partition("(")[0]):
        ask(model, inputs=tensors(x=[1]))


@pytest.mark.parametrize("running", [False, True])
def test_an_async_load_runs_whether_or_not_a_loop_runs_in_its_thread(write: Write, load: Load, running: bool) -> None:
    path = write("""
    import asyncio
    class M(CustomModel):
        async def load(self) -> None:
            await asyncio.sleep(0)
            self.factor = 3
        def predict(self, x: np.ndarray): return x * self.factor
    """)

    async def inside() -> object:
        return load(path)

    model = asyncio.run(inside()) if running else load(path)
    assert ask(load(path), inputs=tensors(x=[2])).output("output-0").data.tolist() == [6]
    assert model is not None


UNLOADS = """
import asyncio
class M(CustomModel):
    async def predict(self, x: np.ndarray):
        self.loop = asyncio.get_running_loop()
        return x
    async def unload(self) -> None:
        same = asyncio.get_running_loop() is getattr(self, "loop", None)
        (self.artifact / "unloaded").write_text(f"same loop: {same}")
"""


def unloadable(path: Path) -> AsyncModel:
    model = PythonRuntime().load(Artifact(path=path, uri="x"), LoadSettings(model_name="m"))
    assert isinstance(model, AsyncModel)
    return model


def test_an_async_unload_runs_on_the_loop_that_served(write: Write, tmp_path: Path) -> None:
    model = unloadable(write(UNLOADS))

    async def serve_and_unload_from_a_thread() -> None:
        await model.predict(InferRequest(model_name="m", inputs=tensors(x=[1])))
        await asyncio.to_thread(model.unload)

    asyncio.run(serve_and_unload_from_a_thread())
    assert (tmp_path / "unloaded").read_text() == "same loop: True"


def test_an_async_unload_can_be_started_from_the_loop_itself(write: Write, tmp_path: Path) -> None:
    model = unloadable(write(UNLOADS))

    async def serve_and_unload() -> None:
        await model.predict(InferRequest(model_name="m", inputs=tensors(x=[1])))
        before = asyncio.all_tasks()
        model.unload()
        await asyncio.gather(*(asyncio.all_tasks() - before))

    asyncio.run(serve_and_unload())
    assert (tmp_path / "unloaded").read_text() == "same loop: True"


def test_an_async_unload_runs_without_the_loop_when_that_has_ended(write: Write, tmp_path: Path) -> None:
    model = unloadable(write(UNLOADS))
    assert np.array_equal(ask(model, inputs=tensors(x=[1])).output("output-0").data, [1])
    model.unload()
    assert (tmp_path / "unloaded").read_text() == "same loop: False"


def test_an_async_explain_is_awaited(write: Write, load: Load) -> None:
    model = load(
        write("""
        class M(CustomModel):
            async def predict(self, x: np.ndarray): return x
            async def explain(self, x: np.ndarray): return {"why": x.tolist()}
        """)
    )
    assert isinstance(model, AsyncModel)
    answer = asyncio.run(_explained(model))
    assert answer.payload == {"why": [1]}


async def _explained(model: AsyncModel) -> InferResponse:
    return await model.explain(InferRequest(model_name="m", inputs=tensors(x=[1])))
