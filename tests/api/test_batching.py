"""Batches as requests come: bounded, in order, and nothing lost."""

import asyncio
import subprocess
import sys
import threading
import time

import pytest
import torch

from api.batching import BRIEF_SECONDS, Batcher
from api.errors import Problem
from api.metrics import Metrics


class Model:
    """Answers with each picture's own first pixel once it may; keeps the sizes of its batches."""

    def __init__(self):
        self.batches = []
        self.threads = []
        self.seconds = 0.0
        self.free = threading.Event()
        self.free.set()

    def __call__(self, images):
        self.free.wait(10)
        time.sleep(self.seconds)
        self.batches.append(len(images))
        self.threads.append(threading.current_thread())
        if (images == 255).any():
            raise RuntimeError("the model broke")
        return images[:, 0, 0, :1].float()


def pictures(*values):
    return torch.tensor(values, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 2, 2)


def with_batcher(scenario, **options):
    async def run():
        model = Model()
        batcher = Batcher(model, Metrics(), **options)
        batcher.start()
        try:
            return await asyncio.wait_for(scenario(batcher, model), 20)
        finally:
            model.free.set()
            await batcher.close()

    return asyncio.run(run())


async def occupied(batcher, model):
    """Give the model something to do, so that what follows must wait."""
    model.free.clear()
    first = batcher.submit(pictures(0))
    await asyncio.sleep(0.05)
    return first


def test_what_arrives_while_the_model_works_becomes_one_batch():
    async def scenario(batcher, model):
        first = await occupied(batcher, model)
        rest = [batcher.submit(pictures(value)) for value in range(1, 6)]
        model.free.set()
        rows = await asyncio.gather(first, *rest)
        assert [row.tolist() for row in rows] == [[[value]] for value in range(6)]
        assert model.batches == [1, 5]

    with_batcher(scenario)


def test_a_lone_request_waits_for_nothing():
    async def scenario(batcher, model):
        for value in range(3):
            assert (await batcher.submit(pictures(value))).tolist() == [[value]]
        assert model.batches == [1, 1, 1]

    with_batcher(scenario)


def test_batches_have_a_largest_size_and_requests_stay_whole():
    async def scenario(batcher, model):
        first = await occupied(batcher, model)
        sizes = [3, 3, 2, 6, 1]
        rest = [batcher.submit(pictures(*range(size))) for size in sizes]
        model.free.set()
        rows = await asyncio.gather(first, *rest)
        assert [len(row) for row in rows] == [1, *sizes]
        assert all(row[:, 0].tolist() == list(range(len(row))) for row in rows)
        assert model.batches == [1, 3, 3 + 2, 6, 1]

    with_batcher(scenario, max_batch=5)


def test_a_full_queue_refuses_and_recovers():
    async def scenario(batcher, model):
        first = await occupied(batcher, model)
        waiting = [batcher.submit(pictures(1, 2)) for _ in range(2)]
        with pytest.raises(Problem) as refused:
            batcher.submit(pictures(3))
        assert int(refused.value.headers["Retry-After"]) >= 1
        model.free.set()
        await asyncio.gather(first, *waiting)
        assert (await batcher.submit(pictures(3))).tolist() == [[3]]

    with_batcher(scenario, max_queue=4)


def test_the_pictures_of_clients_that_left_are_not_computed():
    async def scenario(batcher, model):
        first = await occupied(batcher, model)
        left, stayed = batcher.submit(pictures(1, 2, 3)), batcher.submit(pictures(4))
        left.cancel()
        model.free.set()
        await asyncio.gather(first, stayed)
        assert model.batches == [1, 1]

    with_batcher(scenario)


def test_a_broken_batch_fails_its_own_requests_alone():
    async def scenario(batcher, model):
        with pytest.raises(RuntimeError, match="the model broke"):
            await batcher.submit(pictures(255))
        assert batcher.healthy
        assert (await batcher.submit(pictures(1))).tolist() == [[1]]

    with_batcher(scenario)


async def until_idle(batcher):
    while not batcher.idle:
        await asyncio.sleep(0.001)


def test_it_is_idle_when_a_job_would_be_taken_at_once():
    async def scenario(batcher, model):
        await until_idle(batcher)
        first = await occupied(batcher, model)
        assert not batcher.idle
        model.free.set()
        await first
        await until_idle(batcher)

    with_batcher(scenario)


def test_the_loop_computes_at_once_what_it_is_given():
    async def scenario(batcher, model):
        assert batcher.compute(pictures(3, 4)).tolist() == [[3], [4]]
        assert model.threads == [threading.current_thread()]
        with pytest.raises(RuntimeError, match="the model broke"):
            batcher.compute(pictures(255))

    with_batcher(scenario)


def test_what_is_brief_is_known_from_the_last_picture_alone():
    async def scenario(batcher, model):
        await until_idle(batcher)
        assert not batcher.is_brief(1)  # nothing is known yet
        model.seconds = 0
        await batcher.submit(pictures(1))
        await until_idle(batcher)
        assert batcher.is_brief(1)
        assert not batcher.is_brief(1_000_000)
        model.seconds = 2 * BRIEF_SECONDS
        batcher.compute(pictures(1))
        assert not batcher.is_brief(1)
        model.seconds = 0
        await batcher.submit(pictures(1, 2))  # says little of a picture alone
        await until_idle(batcher)
        assert not batcher.is_brief(1)
        await batcher.submit(pictures(1))
        first = await occupied(batcher, model)
        assert not batcher.is_brief(1)  # it would have to wait
        model.free.set()
        await first

    with_batcher(scenario)


def test_closing_cancels_what_waits_and_ends_the_thread():
    async def scenario(batcher, model):
        first = await occupied(batcher, model)
        waiting = [batcher.submit(pictures(value)) for value in (1, 2)]
        closing = asyncio.create_task(batcher.close())
        await asyncio.sleep(0.05)
        model.free.set()
        await closing
        assert not batcher.healthy
        assert all(job.cancelled() for job in waiting)
        assert (await first).tolist() == [[0]]

    async def run():
        model = Model()
        batcher = Batcher(model, Metrics())
        batcher.start()
        await asyncio.wait_for(scenario(batcher, model), 20)

    asyncio.run(run())


def test_a_process_ends_that_never_closes_it():
    program = """
import asyncio
from api.batching import Batcher
from api.metrics import Metrics

async def start():
    Batcher(lambda images: images, Metrics()).start()

asyncio.run(start())
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
