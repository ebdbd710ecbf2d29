"""Requests from threads beside the event loop, and models that may be called in any."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from fairlead import errors
from fairlead_tests.engine.queues import Doubler, Setup, rows, run, values

if TYPE_CHECKING:
    from fairlead.contracts.tensors import InferRequest, InferResponse


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
        await setup.queue.idle()  # the answer comes a moment before the model is free
        setup.known_to_be_short(rows(2))

        def ask() -> tuple[str, list[float]]:
            answer = setup.ask_beside(rows(2))
            assert answer.done()  # nobody had to be waited for
            return threading.current_thread().name, values(answer.result())

        name, answered = await asyncio.to_thread(ask)
        assert (model.threads, answered) == (["test", name], [4])

    run(test, any_thread=True)


def test_what_comes_while_another_thread_has_the_model_is_answered_without_that_thread() -> None:
    async def test(setup: Setup) -> None:
        setup.model = model = Whereabouts()
        here = threading.current_thread().name
        setup.known_to_be_short(rows(0))
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
