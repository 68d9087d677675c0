"""How fast large messages are read, and when reading goes on."""

import asyncio

import pytest

from api.flow import Flow, Rate


class Transport:
    """What a flow asks of a transport: whether it reads."""

    reads, closing = True, False

    def pause_reading(self):
        assert self.reads
        self.reads = False

    def resume_reading(self):
        assert not self.reads
        self.reads = True

    def is_closing(self):
        return self.closing


def test_connections_share_the_rate():
    rate = Rate(1_000_000)
    assert rate.rest(100_000, now=5.0) == pytest.approx(0.1)
    assert rate.rest(100_000, now=5.05) == pytest.approx(0.15)  # after the first one
    assert rate.rest(100_000, now=9.0) == pytest.approx(0.1)  # what was not used is lost


def resting(steps):
    """Whether a flow reads while it rests, after `steps` and after its rest."""

    async def run():
        transport = Transport()
        flow = Flow(transport)
        for step in steps:
            if step == "rest":
                flow.rest(asyncio.get_running_loop(), 0.01)
            elif step == "close":
                transport.closing = True
            else:
                getattr(flow, step)()
        during = transport.reads
        await asyncio.sleep(0.05)
        return during, transport.reads

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (["rest"], (False, True)),
        (["rest", "rest"], (False, True)),
        (["rest", "pause_reading"], (False, False)),  # the application has enough, too
        (["pause_reading", "rest"], (False, False)),
        (["rest", "pause_reading", "resume_reading"], (False, True)),
        (["pause_reading", "rest", "resume_reading"], (False, True)),
        (["rest", "close"], (False, False)),
        (["pause_reading", "resume_reading"], (True, True)),
    ],
)
def test_reading_goes_on_when_nobody_minds(steps, expected):
    assert resting(steps) == expected
