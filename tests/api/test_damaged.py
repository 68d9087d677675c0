"""Two thousand damaged, false and strange inputs: refused or answered, never a failure."""

from collections import Counter
from pathlib import Path

from tests.api.damaged import cases


def peak_memory(server):
    """The most resident bytes that the process has had since `reset_peak`."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


def reset_peak(server):
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")


def test_two_thousand_damaged_inputs(server, pngs):
    server.predict(*pngs[:8])
    reset_peak(server)
    before = server.memory()
    found = Counter()
    for case in cases(2000, seed=5):
        status = server.predict(case.data).status_code
        assert status in case.allowed, (case.kind, status, case.data[:60])
        found[case.kind, status] += 1
    assert sum(found.values()) == 2000
    assert {status for _, status in found} == {200, 413, 415, 422}
    assert peak_memory(server) - before < 100_000_000
    assert server.client.get("/readyz").status_code == 200
    assert server.predict(pngs[0]).status_code == 200
    assert '"level": "error"' not in server.log.read_text()


def test_explanations_of_damaged_inputs(server):
    for case in cases(140, seed=6):
        files = {"file": ("picture", case.data)}
        assert server.client.post("/explain", files=files).status_code in case.allowed
