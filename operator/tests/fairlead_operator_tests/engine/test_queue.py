"""The queue: nobody is forgotten, nobody is worked on twice at once, and who fails comes later and later."""

from __future__ import annotations

import asyncio

from fairlead_operator.queue import Key, Queue

A: Key = ("default", "a")
B: Key = ("default", "b")


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def taken(queue: Queue) -> Key | None:
    """What a worker gets at once; None for nothing."""
    try:
        async with asyncio.timeout(0.001):
            return await queue.take()
    except TimeoutError:
        return None


def test_a_key_that_is_added_often_is_taken_once() -> None:
    async def run() -> None:
        queue = Queue(Clock())
        for _ in range(5):
            queue.add(A)
        queue.add(B)
        assert [await taken(queue), await taken(queue), await taken(queue)] == [A, B, None]

    asyncio.run(run())


def test_a_change_while_a_key_is_worked_on_is_looked_at_afterwards_and_not_beside() -> None:
    async def run() -> None:
        queue = Queue(Clock())
        queue.add(A)
        assert await taken(queue) == A
        queue.add(A)
        assert await taken(queue) is None
        queue.done(A)
        assert await taken(queue) == A
        queue.done(A)
        assert await taken(queue) is None
        assert queue.idle

    asyncio.run(run())


def test_a_key_that_is_added_for_later_is_taken_when_it_is_due() -> None:
    async def run() -> None:
        clock = Clock()
        queue = Queue(clock)
        queue.add(A, after=5)
        queue.add(A, after=2)
        queue.add(A, after=9)
        assert await taken(queue) is None
        clock.now += 2
        assert await taken(queue) == A
        queue.done(A)
        clock.now += 100
        assert await taken(queue) is None

    asyncio.run(run())


def test_a_key_for_later_that_is_added_for_now_is_taken_once() -> None:
    async def run() -> None:
        clock = Clock()
        queue = Queue(clock)
        queue.add(A, after=5)
        queue.add(A)
        assert await taken(queue) == A
        queue.done(A)
        clock.now += 10
        assert await taken(queue) is None

    asyncio.run(run())


def test_a_key_that_comes_due_while_it_is_worked_on_waits_for_the_worker() -> None:
    async def run() -> None:
        clock = Clock()
        queue = Queue(clock)
        queue.add(A)
        assert await taken(queue) == A
        queue.add(A, after=1)
        clock.now += 2
        assert await taken(queue) is None
        queue.done(A)
        assert await taken(queue) == A

    asyncio.run(run())


def test_pauses_after_failures_double_up_to_a_minute_and_begin_anew_after_a_success() -> None:
    async def run() -> None:
        clock = Clock()
        queue = Queue(clock)
        pauses = []
        queue.add(A)
        for _ in range(12):
            assert await taken(queue) == A
            pauses.append(queue.failed(A))
            clock.now += pauses[-1]
        assert pauses[:4] == [0.2, 0.4, 0.8, 1.6]
        assert pauses[-1] == 60.0
        assert await taken(queue) == A
        queue.done(A)
        queue.add(A)
        assert await taken(queue) == A
        assert queue.failed(A) == 0.2

    asyncio.run(run())


def test_a_server_that_says_when_to_come_back_is_believed() -> None:
    async def run() -> None:
        queue = Queue(Clock())
        queue.add(A)
        assert await taken(queue) == A
        assert queue.failed(A, after=7.0) == 7.0

    asyncio.run(run())


def test_a_worker_that_waits_is_woken_by_what_is_added() -> None:
    async def run() -> None:
        queue = Queue(asyncio.get_running_loop().time)
        waiting = asyncio.create_task(queue.take())
        await asyncio.sleep(0)
        queue.add(B)
        async with asyncio.timeout(10):
            assert await waiting == B

    asyncio.run(run())


def test_a_worker_that_is_to_end_in_the_moment_in_which_a_key_comes_ends_and_leaves_the_key() -> None:
    async def run() -> None:
        queue = Queue(Clock())
        queue.add(B, after=50)
        worker = asyncio.create_task(queue.take())
        await asyncio.sleep(0)
        queue.add(A)
        worker.cancel()
        await asyncio.wait([worker], timeout=10)
        assert worker.cancelled()
        assert await taken(queue) == A

    asyncio.run(run())
