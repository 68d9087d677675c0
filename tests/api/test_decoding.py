"""Decoding in processes: within time and memory, killed when it takes too long, started again."""

import asyncio
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from api.decoder_process import FAILED
from api.decoding import (
    MINUTE,
    TINY,
    Decoder,
    MemoryGate,
    are_decoded_here,
    are_small,
    decode_here,
    structure_of,
)
from api.errors import Problem
from api.uploads import Limits, Upload
from benchmarks import _hostile
from lib.data.pictures import decode
from tests.api.service import encoded, serving, wait_until

SIDE = 16


def noise(size, mode="RGB"):
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    return Image.fromarray(pixels).convert(mode)


def upload(data, name="a.png"):
    return Upload(name, bytearray(data))


def slow():
    """A picture of 24 megapixels in a few hundred bytes."""
    return encoded(Image.new("RGBA", (4900, 4900)), "WEBP", lossless=True, quality=0, method=0)


def with_decoder(scenario, workers=1, side=SIDE, **limits):
    async def run():
        decoder = Decoder(side, replace(Limits(), **limits), workers)
        await decoder.start()
        try:
            return await asyncio.wait_for(scenario(decoder), 60)
        finally:
            await decoder.close()

    return asyncio.run(run())


async def decoded(decoder, *datas):
    uploads = [upload(data) for data in datas]
    return await decoder.decode(uploads, [structure_of(one, Limits()) for one in uploads])


def test_pixels_are_those_of_the_library():
    datas = [encoded(noise((300, 200)), kind) for kind in ("PNG", "TIFF", "AVIF", "JPEG")]

    async def scenario(decoder):
        return await decoded(decoder, *datas)

    images = with_decoder(scenario, workers=2)
    assert images.dtype == torch.uint8
    for image, data in zip(images, datas, strict=True):
        assert np.array_equal(image.permute(1, 2, 0), decode(data, SIDE))


def here(*datas, side=SIDE, alone=False):
    uploads = [upload(data) for data in datas]
    structures = [structure_of(one, Limits()) for one in uploads]
    return are_decoded_here(uploads, structures, side, alone)


@pytest.mark.parametrize(
    ("datas", "alone", "beside_others"),
    [
        ([encoded(noise((32, 32)))], True, True),
        ([encoded(noise((32, 32)))] * 3, True, False),  # too many bytes together
        ([encoded(noise((32, 32)))] * 11, False, False),
        ([encoded(noise((8, 8)))] * 4, True, True),
        ([encoded(noise((8, 8)))] * 5, True, False),  # too many files
        ([encoded(noise((8, 8)))] * 33, False, False),
        ([encoded(Image.new("RGB", (64, 64)))], True, True),
        ([encoded(Image.new("RGB", (65, 64)))], True, False),  # too many pixels
        ([encoded(Image.new("RGB", (129, 128)))], False, False),
        ([encoded(noise((32, 32)), "JPEG") + bytes(MINUTE.size)], True, False),
        ([encoded(noise((32, 32)), "JPEG") + bytes(TINY.size)], False, False),
        ([encoded(noise((32, 32)), "GIF")], False, False),  # not plain
    ],
)
def test_the_loop_decodes_few_plain_pixels_and_more_for_one_alone(datas, alone, beside_others):
    assert here(*datas, alone=True) == alone
    assert here(*datas, alone=False) == beside_others


def test_the_loop_makes_few_pixels_at_a_time():
    small = encoded(noise((8, 8)))
    assert here(small, side=256)
    assert not here(small, side=257, alone=True)
    assert not here(small, small, side=256, alone=True)


def test_the_loop_decodes_what_the_benchmark_attacks_it_with():
    assert here(_hostile.jpeg_of_scans(2, (1, 4_096)))
    assert here(_hostile.jpeg_of_scans(2, (1, 16_384)), alone=True)


@pytest.mark.parametrize("damage", [_hostile.jpeg_of_scans(13, (32, 32)), _hostile.png_with(65)])
def test_the_loop_decodes_nothing_of_many_parts(damage):
    assert len(damage) < MINUTE.size
    assert not here(damage, alone=True)


def test_the_loop_and_the_processes_see_the_same_pixels(predictor):
    datas = [encoded(noise((50, 40), mode)) for mode in ("RGB", "L", "1", "P", "RGBA")]
    datas.append(encoded(noise((50, 40)), "JPEG"))

    async def scenario(decoder):
        return await decoded(decoder, *datas)

    own = decode_here([upload(data) for data in datas], predictor)
    assert torch.equal(own, with_decoder(scenario, side=predictor.image_size))


def test_a_damaged_tiny_picture_is_refused_by_name(predictor):
    with pytest.raises(Problem, match=r"cannot read a\.png: ") as refused:
        decode_here([upload(encoded(noise((32, 32)))[:900])], predictor)
    assert refused.value.status == 422


def test_a_damaged_picture_is_refused_and_the_next_is_read():
    async def scenario(decoder):
        with pytest.raises(Problem, match=r"cannot read a\.png: .*truncated") as refused:
            await decoded(decoder, encoded(noise((300, 200)))[:900])
        assert refused.value.status == 422
        return await decoded(decoder, encoded(noise((40, 40))))

    assert with_decoder(scenario).shape == (1, 3, SIDE, SIDE)


def test_a_picture_that_takes_too_long_is_given_up():
    async def scenario(decoder):
        before = decoder._workers[0]._process.pid
        with pytest.raises(Problem, match="takes too long") as refused:
            await decoded(decoder, slow())
        assert refused.value.status == 422
        with pytest.raises(ProcessLookupError):
            os.kill(before, 0)

    with_decoder(scenario, decoding_seconds=0.01)


def test_a_picture_that_takes_too_much_memory_is_refused(monkeypatch):
    async def scenario(decoder):
        with pytest.raises(Problem, match="takes too much memory") as refused:
            await decoded(decoder, slow())
        assert refused.value.status == 422
        return await decoded(decoder, encoded(noise((40, 40))))

    monkeypatch.setattr("api.decoder_process.BASE_BYTES", 350_000_000)
    assert len(with_decoder(scenario, decoding_bytes=0)) == 1


@pytest.mark.parametrize("size", [(40, 40), (300, 300)])
def test_a_process_that_dies_is_replaced(size):
    async def scenario(decoder):
        worker = decoder._small._worker if size == (40, 40) else decoder._workers[0]
        os.kill(worker._process.pid, signal.SIGKILL)
        with pytest.raises(Problem, match="its decoder failed"):
            await decoded(decoder, encoded(noise(size)))
        return await decoded(decoder, encoded(noise(size)))

    assert len(with_decoder(scenario)) == 1


def test_a_failing_batch_is_tried_again_request_by_request():
    async def scenario(decoder):
        worker, small = decoder._small._worker, encoded(noise((40, 40)))
        decode = worker.decode

        async def fail_together(datas):
            return [FAILED] * len(datas) if len(datas) > 1 else await decode(datas)

        worker.decode = fail_together
        results = await asyncio.gather(*(decoded(decoder, small) for _ in range(3)))
        assert [len(images) for images in results] == [1, 1, 1]

    with_decoder(scenario)


def test_a_cancelled_decoding_ends_its_process():
    async def scenario(decoder):
        pid = decoder._workers[0]._process.pid
        task = asyncio.ensure_future(decoded(decoder, slow()))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        assert decoder._room.taken_pixels == 0
        return await decoded(decoder, encoded(noise((40, 40))))

    assert len(with_decoder(scenario)) == 1


def test_pixels_are_bounded_per_request_and_waiting():
    data = encoded(noise((300, 300)))

    async def scenario(decoder):
        with pytest.raises(Problem) as too_many:
            await decoded(decoder, *[data] * 4)
        assert (too_many.value.status, too_many.value.code) == (413, "too_many_pixels")
        results = await asyncio.gather(
            *(decoded(decoder, data) for _ in range(6)), return_exceptions=True
        )
        refused = [one for one in results if isinstance(one, Problem)]
        assert len(refused) == 2
        assert {one.status for one in refused} == {503}

    with_decoder(scenario, request_pixels=350_000, waiting_pixels=400_000)


def test_large_pictures_do_not_keep_small_ones_out():
    async def scenario(decoder):
        large = [asyncio.ensure_future(decoded(decoder, slow())) for _ in range(4)]
        await asyncio.sleep(0)
        assert len(await decoded(decoder, encoded(noise((40, 40))))) == 1
        assert not any(task.done() for task in large)
        for task in large:
            task.cancel()
        await asyncio.gather(*large, return_exceptions=True)

    with_decoder(scenario)


def test_processes_end_with_the_decoder():
    pids = []

    async def scenario(decoder):
        pids.extend(worker._process.pid for worker in decoder._workers)

    with_decoder(scenario, workers=3)
    assert len(set(pids)) == 3
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_processes_end_when_the_service_is_killed(bundle, tmp_path):
    with serving(bundle, tmp_path) as server:
        task = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
        children = [Path("/proc", pid) for pid in task.read_text().split()]
        assert len(children) >= 2
        server.process.kill()
        wait_until(lambda: not any(child.exists() for child in children))


def test_memory_gate_lets_one_in_whatever_its_size():
    async def scenario():
        gate = MemoryGate(100)
        entered = []

        async def take(size):
            async with gate.taken(size):
                entered.append(size)
                await asyncio.sleep(0.01)
                assert len(entered) == 1 or sum(entered[-2:]) <= 100 or entered[-1] == size

        async with gate.taken(500):
            waiting = asyncio.ensure_future(take(50))
            await asyncio.sleep(0.02)
            assert entered == []
        await waiting
        await asyncio.gather(take(60), take(60), take(30))
        assert gate._taken == 0

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("images", "small"),
    [
        ([noise((32, 32))], True),
        ([noise((32, 32))] * 32, True),
        ([noise((300, 300))], False),
        ([noise((128, 128))] * 5, False),
    ],
)
def test_small_pictures_are_known_by_what_they_announce(images, small):
    uploads = [upload(encoded(image)) for image in images]
    structures = [structure_of(one, Limits()) for one in uploads]
    assert are_small(uploads, structures) == small


def test_pixels_are_counted_from_the_header_alone():
    data = encoded(Image.effect_noise((64, 64), 50))
    assert structure_of(upload(data[:100]), Limits()).pixels == 64 * 64
    with pytest.raises(Problem, match=r"a\.png: more than 4,095 pixels"):
        structure_of(upload(data), Limits(pixels=4095))


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone has this way of scheduling")
def test_processes_do_not_take_the_core_of_the_event_loop():
    async def scenario(decoder):
        for worker in (decoder._small._worker, *decoder._workers):
            assert os.sched_getscheduler(worker._process.pid) == os.SCHED_BATCH

    with_decoder(scenario)
