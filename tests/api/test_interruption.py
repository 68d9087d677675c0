"""Time limits and lost clients end a block, and nothing else does."""

import asyncio

import pytest
from starlette.requests import ClientDisconnect, Request

from api.interruption import Deadline, WhileConnected


def within(scenario):
    return asyncio.run(asyncio.wait_for(scenario(), 20))


def request(*messages):
    async def receive():
        if left:
            return left.pop(0)
        await asyncio.Event().wait()

    left = list(messages)
    return Request({"type": "http"}, receive)


def test_a_deadline_ends_a_block():
    async def scenario():
        with pytest.raises(TimeoutError), Deadline(0.01) as deadline:
            await asyncio.Event().wait()
        assert deadline.happened
        assert asyncio.current_task().cancelling() == 0
        await asyncio.sleep(0)  # the task goes on

    within(scenario)


def test_a_moved_deadline_rings_at_its_new_time():
    async def work(until):
        with Deadline(0.01) as deadline:
            deadline.move(until)
            await asyncio.Event().wait()

    async def scenario():
        loop = asyncio.get_running_loop()
        began = loop.time()
        with pytest.raises(TimeoutError):
            await work(began + 0.1)
        assert loop.time() - began >= 0.1

    within(scenario)


def test_a_deadline_that_was_lifted_or_left_does_nothing():
    async def scenario():
        with Deadline(0.01) as deadline:
            deadline.lift()
            await asyncio.sleep(0.05)
        with Deadline(0.01) as left:
            pass
        await asyncio.sleep(0.05)
        assert not deadline.happened
        assert not left.happened

    within(scenario)


def test_an_error_of_the_block_stays():
    async def scenario():
        with pytest.raises(KeyError), Deadline(10):
            raise KeyError

    within(scenario)


def test_a_cancellation_by_somebody_else_stays_one():
    async def work():
        with Deadline(0.01):
            await asyncio.Event().wait()

    async def scenario():
        for seconds in (0, 0.01):  # the second at the same time as the deadline
            task = asyncio.create_task(work())
            asyncio.get_running_loop().call_later(seconds, task.cancel)
            with pytest.raises((asyncio.CancelledError, TimeoutError)):
                await task
            assert seconds or task.cancelled()

    within(scenario)


def test_the_inner_of_two_deadlines_is_the_one_that_is_seen():
    async def scenario():
        with Deadline(10) as outer:
            with pytest.raises(TimeoutError), Deadline(0.01):
                await asyncio.Event().wait()
            await asyncio.sleep(0)
        assert not outer.happened

    within(scenario)


def test_a_client_that_leaves_ends_a_block():
    async def scenario():
        with pytest.raises(ClientDisconnect), WhileConnected(request({"type": "http.disconnect"})):
            await asyncio.Event().wait()
        assert asyncio.current_task().cancelling() == 0

    within(scenario)


def test_a_client_that_stays_does_not():
    async def scenario():
        with WhileConnected(request()):
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.01)
        assert len(asyncio.all_tasks()) == 2  # this one, and `wait_for`

    within(scenario)
