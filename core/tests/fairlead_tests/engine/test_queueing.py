"""The queue of one model: a real thread, a real event loop, and a model that waits until a test lets it go."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest

from fairlead import errors
from fairlead.contracts.tensors import InferRequest, InferResponse, Tensor
from fairlead.engine.metrics import Metrics, ModelMetrics
from fairlead.engine.queueing import ModelQueue
from fairlead.engine.serving import settle
from fairlead.engine.thread import ModelThread


def rows(*values: float, **fields: Any) -> InferRequest:
    return InferRequest(model_name="m", inputs=[Tensor.from_numpy("x", np.array(values).reshape(-1, 1))], **fields)


def as_it_is(response: InferResponse, request: InferRequest) -> InferResponse:
    return response


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class Doubler:
    """Doubles its input; holds every call until it is let go, and remembers how many rows each had."""

    def __init__(self) -> None:
        self.calls: list[list[float]] = []
        self.entered = threading.Event()
        self.go = threading.Event()
        self.go.set()

    def __call__(self, request: InferRequest) -> InferResponse:
        self.entered.set()
        assert self.go.wait(30)
        data = request.inputs[0].data
        self.calls.append(data.ravel().tolist())
        if np.any(data == 13):
            raise ValueError("13 is not taken")
        if np.any(data == 14):
            raise SystemExit(14)
        if np.any(data == 15):
            raise StopIteration
        if np.any(data == 16):
            raise Unspeakable
        return InferResponse(model_name="m", outputs=[Tensor.from_numpy("y", data * 2)])


class Setup:
    def __init__(self, **limits: Any) -> None:
        self.thread = ModelThread("test")
        self.metrics: ModelMetrics = Metrics().of("m")
        self.model = Doubler()
        defaults: dict[str, Any] = {"max_waiting": 100, "max_rows": 64, "delay": 0.0, "timeout": 30.0}
        self.queue = ModelQueue("m", self.thread, self.metrics, as_it_is, **(defaults | limits))

    def ask(self, request: InferRequest, joinable: bool = True) -> asyncio.Future[InferResponse]:
        future: asyncio.Future[InferResponse] = asyncio.get_running_loop().create_future()
        pending = self.queue.submit(
            self.model,
            request,
            functools.partial(settle, future),
            joinable=joinable,
            timing=self.metrics.predict,
            on_loop=True,
        )
        future.add_done_callback(lambda done: pending.give_up() if done.cancelled() else None)
        return future

    def ask_beside(self, request: InferRequest) -> concurrent.futures.Future[InferResponse]:
        """Ask in another thread than that of the event loop."""
        future: concurrent.futures.Future[InferResponse] = concurrent.futures.Future()
        self.queue.submit(
            self.model,
            request,
            functools.partial(settle, future),
            joinable=True,
            timing=self.metrics.predict,
            on_loop=False,
        )
        return future

    async def occupied(self) -> asyncio.Future[InferResponse]:
        """A model that is busy with the row 0 until it is let go."""
        self.model.go.clear()
        first = self.ask(rows(0))
        await asyncio.to_thread(self.model.entered.wait, 30)
        return first


def run(test: Callable[[Setup], Awaitable[None]], **limits: Any) -> None:
    async def main() -> None:
        setup = Setup(**limits)
        try:
            await test(setup)
        finally:
            setup.model.go.set()
            setup.thread.close()

    asyncio.run(main())


def values(response: InferResponse) -> list[float]:
    return [float(value) for value in response.outputs[0].data.ravel()]


def test_one_request_is_answered_without_waiting_for_others() -> None:
    async def test(setup: Setup) -> None:
        assert values(await setup.ask(rows(1, 2))) == [2, 4]

    run(test)


def test_everything_that_waits_when_the_model_becomes_free_is_one_batch() -> None:
    async def test(setup: Setup) -> None:
        first = await setup.occupied()
        waiting = [setup.ask(rows(number)) for number in range(1, 6)]
        setup.model.go.set()
        assert values(await first) == [0]
        assert [values(await each) for each in waiting] == [[2], [4], [6], [8], [10]]
        assert setup.model.calls == [[0], [1, 2, 3, 4, 5]]

    run(test)


def test_requests_of_one_turn_of_the_loop_are_one_batch() -> None:
    async def test(setup: Setup) -> None:
        answers = await asyncio.gather(*(setup.ask(rows(number)) for number in range(8)))
        assert [values(answer) for answer in answers] == [[2 * number] for number in range(8)]
        assert setup.model.calls == [list(range(8))]

    run(test)


def test_a_batch_never_has_more_rows_than_allowed_and_keeps_the_order() -> None:
    async def test(setup: Setup) -> None:
        first = await setup.occupied()
        waiting = [setup.ask(rows(*[number] * 2)) for number in range(1, 6)]
        setup.model.go.set()
        await asyncio.gather(first, *waiting)
        assert setup.model.calls == [[0], [1, 1, 2, 2], [3, 3, 4, 4], [5, 5]]

    run(test, max_rows=5)


def test_a_request_with_more_rows_than_a_batch_may_have_runs_alone() -> None:
    async def test(setup: Setup) -> None:
        first = await setup.occupied()
        waiting = [setup.ask(rows(*range(10))), setup.ask(rows(1))]
        setup.model.go.set()
        await asyncio.gather(first, *waiting)
        assert setup.model.calls == [[0], list(range(10)), [1]]

    run(test, max_rows=4)


def test_requests_that_differ_are_never_mixed() -> None:
    async def test(setup: Setup) -> None:
        first = await setup.occupied()
        waiting = [
            setup.ask(rows(1)),
            setup.ask(rows(2, parameters={"method": "other"})),
            setup.ask(rows(3)),
            setup.ask(rows(4), joinable=False),
            setup.ask(rows(5)),
        ]
        setup.model.go.set()
        await asyncio.gather(first, *waiting)
        assert setup.model.calls == [[0], [1, 3, 5], [2], [4]]

    run(test)


def test_one_bad_request_fails_alone() -> None:
    async def test(setup: Setup) -> None:
        first = await setup.occupied()
        waiting = [setup.ask(rows(number)) for number in (1, 13, 2)]
        setup.model.go.set()
        await first
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert isinstance(outcomes[1], errors.InferenceFailed)
        assert str(outcomes[1]) == "ValueError : 13 is not taken"
        assert [values(outcome) for outcome in outcomes if isinstance(outcome, InferResponse)] == [[2], [4]]

    run(test)


@pytest.mark.parametrize(("value", "name"), [(14, "SystemExit"), (15, "StopIteration"), (16, "Unspeakable")])
def test_what_ends_one_request_of_a_batch_does_not_end_the_others(value: int, name: str) -> None:
    async def test(setup: Setup) -> None:
        first = await setup.occupied()
        waiting = [setup.ask(rows(number)) for number in (1, value, 2)]
        setup.model.go.set()
        await first
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert isinstance(outcomes[1], errors.InferenceFailed)
        assert str(outcomes[1]).startswith(f"{name} : ")
        assert [values(outcome) for outcome in outcomes if isinstance(outcome, InferResponse)] == [[2], [4]]

    run(test)


@pytest.mark.parametrize(("value", "name"), [(14, "SystemExit"), (15, "StopIteration"), (16, "Unspeakable")])
def test_a_model_that_raises_what_no_model_should_fails_its_request_and_answers_the_next(value: int, name: str) -> None:
    async def test(setup: Setup) -> None:
        with pytest.raises(errors.InferenceFailed, match=name):
            await setup.ask(rows(value))
        assert values(await setup.ask(rows(1))) == [2]

    run(test)


def test_more_than_may_wait_are_refused() -> None:
    async def test(setup: Setup) -> None:
        first = await setup.occupied()
        waiting = [setup.ask(rows(1)), setup.ask(rows(2))]
        with pytest.raises(errors.Overloaded, match="2 requests wait already"):
            setup.ask(rows(3))
        setup.model.go.set()
        await asyncio.gather(first, *waiting)
        assert values(await setup.ask(rows(4))) == [8]

    run(test, max_waiting=2)


def test_a_request_past_its_deadline_is_told_so_and_costs_the_model_nothing() -> None:
    async def test(setup: Setup) -> None:
        first = await setup.occupied()
        late = setup.ask(rows(1))
        with pytest.raises(errors.DeadlineExceeded, match=r"within 0\.05 seconds"):
            await late
        with pytest.raises(errors.DeadlineExceeded):
            await first  # the model holds it still, and nobody waits for it any more
        assert setup.queue.waiting == 0
        setup.model.go.set()
        await setup.thread.run(lambda: None)
        assert setup.model.calls == [[0]]

    run(test, timeout=0.05)


def test_a_request_that_was_given_up_is_not_computed() -> None:
    async def test(setup: Setup) -> None:
        first = await setup.occupied()
        gone, stays = setup.ask(rows(1)), setup.ask(rows(2))
        gone.cancel()
        await asyncio.sleep(0)
        assert setup.queue.waiting == 1
        setup.model.go.set()
        await asyncio.gather(first, stays)
        assert setup.model.calls == [[0], [2]]

    run(test)


def test_a_delay_lets_a_batch_fill_and_a_full_batch_does_not_wait() -> None:
    async def test(setup: Setup) -> None:
        await asyncio.gather(*(setup.ask(rows(number)) for number in range(4)))
        assert setup.model.calls == [[0, 1, 2, 3]]

    run(test, delay=3600.0, max_rows=4)


def test_waiting_and_batch_sizes_are_recorded() -> None:
    async def test(setup: Setup) -> None:
        await asyncio.gather(*(setup.ask(rows(number)) for number in range(3)))

    metrics = Metrics()

    async def main() -> None:
        setup = Setup()
        setup.metrics = metrics.of("m")
        setup.queue = ModelQueue(
            "m", setup.thread, setup.metrics, as_it_is, max_waiting=10, max_rows=64, delay=0.0, timeout=30.0
        )
        await test(setup)
        setup.thread.close()

    asyncio.run(main())
    label = {"model_name": "m"}
    assert metrics.registry.get_sample_value("fairlead_batch_rows_sum", label) == 3
    assert metrics.registry.get_sample_value("fairlead_batch_rows_count", label) == 1
    assert metrics.registry.get_sample_value("fairlead_queue_seconds_count", label) == 3
    assert metrics.registry.get_sample_value("request_predict_seconds_count", label) == 1


def test_the_rows_of_a_call_are_recorded_whether_or_not_they_could_be_joined() -> None:
    metrics = Metrics()

    async def main() -> None:
        setup = Setup()
        setup.queue = ModelQueue(
            "m", setup.thread, metrics.of("m"), as_it_is, max_waiting=10, max_rows=64, delay=0.0, timeout=30.0
        )
        await setup.ask(rows(1, 2, 3), joinable=False)
        setup.thread.close()

    asyncio.run(main())
    assert metrics.registry.get_sample_value("fairlead_batch_rows_sum", {"model_name": "m"}) == 3


def test_a_request_with_a_deadline_of_its_own_expires_by_it_and_others_do_not() -> None:
    async def test(setup: Setup) -> None:
        first = await setup.occupied()
        hurried: asyncio.Future[InferResponse] = asyncio.get_running_loop().create_future()
        patient = setup.ask(rows(1))
        setup.queue.submit(
            setup.model,
            rows(2),
            functools.partial(settle, hurried),
            joinable=True,
            timing=setup.metrics.predict,
            on_loop=True,
            timeout=0.05,
        )
        with pytest.raises(errors.DeadlineExceeded, match=r"within 0\.05 seconds"):
            await hurried
        setup.model.go.set()
        await asyncio.gather(first, patient)
        assert setup.model.calls == [[0], [1]]

    run(test)


def test_a_queue_is_idle_when_nothing_is_in_flight_and_the_model_has_returned() -> None:
    async def test(setup: Setup) -> None:
        first = await setup.occupied()
        idle = asyncio.ensure_future(setup.queue.idle())
        first.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert (setup.queue.in_flight, idle.done()) == (0, False)
        setup.model.go.set()
        await idle
        assert setup.model.calls == [[0]]

    run(test)


# -- threads beside the event loop, and models that may be called in any ---------------------------------


def test_requests_of_threads_and_of_the_event_loop_share_batches() -> None:
    async def test(setup: Setup) -> None:
        first = await setup.occupied()
        beside = [await asyncio.to_thread(setup.ask_beside, rows(number)) for number in (1, 2)]
        on_loop = setup.ask(rows(3))
        setup.model.go.set()
        await first
        assert values(await on_loop) == [6]
        assert [values(await asyncio.wrap_future(each)) for each in beside] == [[2], [4]]
        assert setup.model.calls == [[0], [1, 2, 3]]

    run(test)


def test_a_request_of_a_thread_that_is_too_many_is_refused_there() -> None:
    async def test(setup: Setup) -> None:
        first = await setup.occupied()
        waiting = await asyncio.to_thread(setup.ask_beside, rows(1))
        with pytest.raises(errors.Overloaded, match="1 requests wait already"):
            await asyncio.to_thread(setup.ask_beside, rows(2))
        setup.model.go.set()
        await asyncio.gather(first, asyncio.wrap_future(waiting))

    run(test, max_waiting=1)


def test_a_request_of_a_thread_expires_while_the_model_holds_it() -> None:
    async def test(setup: Setup) -> None:
        setup.model.go.clear()
        held = await asyncio.to_thread(setup.ask_beside, rows(1))
        with pytest.raises(errors.DeadlineExceeded):
            await asyncio.wrap_future(held)

    run(test, timeout=0.05)


class Whereabouts(Doubler):
    """Remembers in which thread each call was made."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: list[str] = []

    def __call__(self, request: InferRequest) -> InferResponse:
        self.threads.append(threading.current_thread().name)
        return super().__call__(request)


def test_a_model_that_stays_in_its_thread_is_called_there_whoever_asks() -> None:
    async def test(setup: Setup) -> None:
        setup.model = model = Whereabouts()
        await setup.ask(rows(1))
        await asyncio.wrap_future(await asyncio.to_thread(setup.ask_beside, rows(2)))
        assert model.threads == ["test", "test"]

    run(test)


def test_a_model_that_may_be_called_anywhere_is_called_on_the_loop_once_its_calls_are_known_to_be_short() -> None:
    async def test(setup: Setup) -> None:
        setup.model = model = Whereabouts()
        loop = threading.current_thread().name
        for _ in range(40):
            await setup.ask(rows(1))
        assert model.threads[0] == "test"
        assert loop in model.threads

    run(test, any_thread=True)


def test_a_call_of_another_size_is_tried_in_the_models_thread_first() -> None:
    async def test(setup: Setup) -> None:
        setup.model = model = Whereabouts()
        while threading.current_thread().name not in model.threads:
            await setup.ask(rows(1))
        await setup.ask(rows(*[1] * 64))
        assert model.threads[-1] == "test"

    run(test, any_thread=True)


def test_a_short_call_is_made_in_the_thread_that_asks() -> None:
    async def test(setup: Setup) -> None:
        setup.model = model = Whereabouts()
        await asyncio.wrap_future(await asyncio.to_thread(setup.ask_beside, rows(1)))

        def ask() -> tuple[str, list[float]]:
            while True:
                answer = setup.ask_beside(rows(2))
                if answer.done():  # nobody had to be waited for
                    return threading.current_thread().name, values(answer.result())
                answer.result(30)

        name, answered = await asyncio.to_thread(ask)
        assert (model.threads[0], model.threads[-1], answered) == ("test", name, [4])

    run(test, any_thread=True)


def test_what_comes_while_another_thread_has_the_model_is_answered_without_that_thread() -> None:
    async def test(setup: Setup) -> None:
        setup.model = model = Whereabouts()
        here = threading.current_thread().name
        while here not in model.threads:  # until its calls are known to be short
            await setup.ask(rows(0))
        model.calls.clear()
        model.threads.clear()
        model.entered.clear()
        model.go.clear()
        held = asyncio.ensure_future(asyncio.to_thread(setup.ask_beside, rows(0)))
        await asyncio.to_thread(model.entered.wait, 30)
        waiting = [setup.ask(rows(number)) for number in (1, 2)]
        model.go.set()
        await asyncio.gather(held, *waiting)
        assert model.calls == [[0], [1, 2]]
        assert model.threads[0] not in ("test", here)
        assert model.threads[1] == "test"

    run(test, any_thread=True)


def test_many_threads_and_the_loop_at_once_get_each_their_own_answer_and_calls_never_overlap() -> None:
    inside = threading.Lock()

    class Jealous(Doubler):
        def __call__(self, request: InferRequest) -> InferResponse:
            assert inside.acquire(blocking=False)
            try:
                return super().__call__(request)
            finally:
                inside.release()

    async def test(setup: Setup) -> None:
        setup.model = Jealous()

        def ask(start: int) -> list[list[float]]:
            return [values(setup.ask_beside(rows(number)).result(30)) for number in range(start, start + 200)]

        async def ask_on_loop(start: int) -> list[list[float]]:
            return [values(await setup.ask(rows(number))) for number in range(start, start + 200)]

        starts = range(1000, 9000, 1000)
        asking = [asyncio.to_thread(ask, start) if start % 2000 else ask_on_loop(start) for start in starts]
        answers = await asyncio.gather(*asking)
        assert answers == [[[2.0 * number] for number in range(start, start + 200)] for start in starts]

    run(test, any_thread=True)
