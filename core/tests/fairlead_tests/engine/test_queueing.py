"""What waits for a model, and what is joined, refused, expired and given up."""

from __future__ import annotations

import asyncio
import functools

import pytest

from fairlead import errors
from fairlead.contracts.tensors import InferResponse
from fairlead.engine.metrics import Metrics
from fairlead.engine.queueing import ModelQueue
from fairlead.engine.serving import settle
from fairlead_tests.engine.queues import Setup, as_it_is, rows, run, values


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


def test_what_would_be_answered_too_late_is_refused_at_once() -> None:
    async def test(setup: Setup) -> None:
        for seconds in [1.0] * 50:  # as if each call took a second
            setup.queue._admission.record(seconds, 1)
        first = await setup.occupied()
        waiting = [setup.ask(rows(1), joinable=False) for _ in range(29)]
        with pytest.raises(errors.Overloaded, match="29 requests wait already") as refused:
            setup.ask(rows(30))
        assert refused.value.retry_after == 29
        setup.model.go.set()
        await asyncio.gather(first, *waiting)

    run(test, timeout=28.5)


def test_a_closed_queue_takes_nothing_more_and_answers_what_it_has() -> None:
    async def test(setup: Setup) -> None:
        first = await setup.occupied()
        second = setup.ask(rows(1))
        assert not setup.queue.close(if_idle=True)
        assert setup.queue.close()
        with pytest.raises(errors.ModelNotReady):
            setup.ask(rows(2))
        with pytest.raises(errors.ModelNotReady):
            await asyncio.to_thread(setup.ask_beside, rows(3))
        setup.model.go.set()
        assert [values(await each) for each in (first, second)] == [[0], [2]]

    run(test)


def test_an_idle_queue_is_closed_at_once() -> None:
    async def test(setup: Setup) -> None:
        assert setup.queue.close(if_idle=True)
        with pytest.raises(errors.ModelNotReady):
            setup.ask(rows(1))

    run(test)


def test_deadlines_hold_for_what_a_closed_queue_still_has() -> None:
    async def test(setup: Setup) -> None:
        held = [await setup.occupied(), setup.ask(rows(1))]
        setup.queue.close()
        for each in held:
            with pytest.raises(errors.DeadlineExceeded):
                await each

    run(test, timeout=0.2)
