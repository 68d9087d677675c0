"""The service against its peers: the same bundle, pictures and machine, in one run.

    python -m benchmarks.serving [--models small_cnn resnet18] [--clients 1 8 32] [--seconds 4]

Each peer answers POST /predict with the same JSON and computes with the same `Predictor`:

* service: `python -m api`
* plain: a FastAPI handler that decodes the picture and calls the model, once as `def` (FastAPI
  runs it in threads) and once as `async def`
* LitServe: up to 32 pictures a batch, gathered for at most 5 ms

The service also answers the same pictures as tensors of the Open Inference Protocol, as JSON and as
bytes (its binary tensor data extension), each way there and back.

The clients live in this script's own process: raw HTTP/1.1 over asyncio and uvloop, each asking
again as soon as it is answered, with PNGs of 32 px. Servers take turns within each round, and every
figure is the median of the rounds. `CPU ms` is what a server's processes and their children spend
on an answer; `client CPU` is the clients' share of a core, which should stay well below 1.

Then, of the service with 32 clients, where an answer's time goes; and what happens when requests
come, whatever the answers, at twice the rate that it has just managed.

Small CNN, answers a second on two idle cores (AMD EPYC, torch 2.14.1; 3 rounds of 1.2 s):

    clients             1      8     32
    service           428    740    996
    plain def         402    518    576
    plain async       510    580    563
    LitServe          128    420    641
    tensor, JSON      443    582    781
    tensor, bytes     581    767  1,019

At 32 clients p99 is 43 ms for the service, 67 for LitServe, 100 for plain def. In two more runs one
client got 576 answers a second from the service and 555 from plain async (3 rounds), then 471 and
518 (7 rounds): between 0.84 and 1.04 of it. With 32, it had 1.46 and 1.55 times LitServe's.
ResNet-18 at 32 px, cores with other work, 12 rounds: one client 178, plain async 196.
"""

import argparse
import gc
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import litserve
import numpy as np
import pandas as pd
import torch
import uvicorn
import uvloop
from fastapi import FastAPI, Request, UploadFile
from PIL import Image

from benchmarks._clients import Crowd, prepare, wait_for
from benchmarks._http import form, post
from lib.inference import Prediction, Predictor

PEERS = ("service", "plain def", "plain async", "LitServe")
STAGES = ("reading", "decoding", "waiting", "model", "writing")
THREADS = max(1, len(os.sched_getaffinity(0)) - 1)  # of the model, as the service does it


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["small_cnn", "resnet18"])
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--serve", nargs=3, metavar=("PEER", "BUNDLE", "PORT"))
    options = parser.parse_args()
    if options.serve:
        peer, bundle, port = options.serve
        serve(peer, bundle, int(port))
    else:
        gc.freeze()  # what is loaded need not be searched for garbage while clients ask
        with TemporaryDirectory() as scratch:
            for model in options.models:
                report(options, model, Path(scratch))


def report(options: argparse.Namespace, model: str, scratch: Path) -> None:
    """Measure every peer with one network and print the tables."""
    bundle, pictures = prepare(model, scratch)
    files = [path.read_bytes() for path in sorted(pictures.iterdir())]
    forms = [post("/predict", *form(file)) for file in files]
    images = [np.array(Image.open(BytesIO(file)).convert("RGB")) for file in files]
    name = json.loads((bundle / "bundle.json").read_text())["name"]
    tensors = {
        kind: [infer(name, pixels.transpose(2, 0, 1)[None], binary) for pixels in images]
        for kind, binary in (("tensor, JSON", False), ("tensor, bytes", True))
    }
    with serving(bundle, files[0]) as servers:
        rows = []
        for clients in options.clients:
            for _ in range(options.rounds):
                for peer, (port, group) in servers.items():
                    before = stages(port) if peer == "service" else {}
                    found = asked(port, group, forms, clients=clients, seconds=options.seconds)
                    if peer == "service":
                        found |= spent(before, stages(port))
                    rows.append({"server": peer, "clients": clients} | found)
                for kind, requests in tensors.items():
                    port, group = servers["service"]
                    found = asked(port, group, requests, clients=clients, seconds=options.seconds)
                    rows.append({"server": kind, "clients": clients} | found)
        table = pd.DataFrame(rows).groupby(["clients", "server"], sort=False).median()
        print(f"\n{model}, {THREADS} thread(s) for the model\n")
        print(table.drop(columns=list(STAGES)).to_string(float_format="{:.2f}".format))
        most = options.clients[-1]
        service = table.loc[(most, "service")]
        print(f"\nwhere an answer's time goes, {most} clients (ms)\n")
        rest = service["mean ms"] - service[list(STAGES)].sum()
        parts = service[list(STAGES)].to_dict() | {"HTTP, framework, event loop": rest}
        print(pd.Series(parts).to_string(float_format="{:.2f}".format))
        port, group = servers["service"]
        rate = 2 * service["answers/s"]
        found = asked(port, group, forms, rate=rate, seconds=options.seconds)
        print(f"\n{rate:.0f} requests offered a second, twice what it managed\n")
        print(pd.Series(found).to_string())


# ---- the servers


def serve(peer: str, bundle: str, port: int) -> None:
    """Be one of the service's peers."""
    torch.set_num_threads(THREADS)
    if peer == "LitServe":
        api = LitApi(bundle, max_batch_size=32, batch_timeout=0.005)
        server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
        server.run(port=port, generate_client_file=False, log_level="error", access_log=False)
        return
    predictor = Predictor.load(bundle, "cpu")
    app = FastAPI()

    def predict(file: UploadFile) -> dict[str, Any]:
        (prediction,) = predictor.predict([file.file])
        return answer(prediction)

    async def predict_on_the_loop(file: UploadFile) -> dict[str, Any]:
        return predict(file)

    app.post("/predict")(predict if peer == "plain def" else predict_on_the_loop)
    uvicorn.run(app, port=port, log_level="error", access_log=False)


class LitApi(litserve.LitAPI):
    """The same for LitServe, which decodes and computes in a process of its own."""

    def __init__(self, bundle: str, **options: Any) -> None:
        super().__init__(**options)
        self.bundle = bundle

    def setup(self, device: str) -> None:
        torch.set_num_threads(THREADS)
        self.predictor = Predictor.load(self.bundle, "cpu")

    def decode_request(self, request: Request) -> torch.Tensor:
        return self.predictor.prepare(request["file"].file)

    def batch(self, inputs: list[torch.Tensor]) -> torch.Tensor:
        return torch.stack(inputs)

    def predict(self, images: torch.Tensor) -> torch.Tensor:
        return self.predictor.probabilities(images)

    def unbatch(self, rows: torch.Tensor) -> list[Prediction]:
        return self.predictor.labelled(rows)

    def encode_response(self, prediction: Prediction) -> dict[str, Any]:
        return answer(prediction)


def answer(prediction: Prediction) -> dict[str, Any]:
    """What the service answers about one picture."""
    ranked = prediction.top(len(prediction.probabilities)).items()
    listed = [{"label": label, "probability": round(p, 6)} for label, p in ranked]
    confidence = round(prediction.confidence, 6)
    one = {"label": prediction.label, "confidence": confidence, "probabilities": listed}
    return {"predictions": [one]}


@contextmanager
def serving(bundle: Path, picture: bytes) -> Iterator[dict[str, tuple[int, int]]]:
    """Every peer in processes of its own: its port and its process group."""
    started, servers = [], {}
    try:
        for peer in PEERS:
            with socket.create_server(("127.0.0.1", 0)) as free:
                port = free.getsockname()[1]
            command = [sys.executable, "-m"]
            if peer == "service":
                command += ["api", "--bundle", str(bundle), "--port", str(port)]
            else:
                command += ["benchmarks.serving", "--serve", peer, str(bundle), str(port)]
            process = subprocess.Popen(
                command,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            started.append(process)
            servers[peer] = (port, process.pid)
        for port, _ in servers.values():
            wait_for(port, picture)
        yield servers
    finally:
        for process in started:
            os.killpg(process.pid, signal.SIGTERM)
        for process in started:
            process.wait()


def cpu_seconds(group: int) -> float:
    """What the processes of a group and their children have spent so far.

    The service's decoding processes are children with groups of their own.
    """
    groups, parents, ticks = {}, {}, {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        pid = int(stat.parent.name)
        parents[pid], groups[pid] = int(fields[1]), int(fields[2])
        ticks[pid] = int(fields[11]) + int(fields[12])
    spent = sum(ticks[pid] for pid in ticks if group in (groups[pid], groups.get(parents[pid], 0)))
    return spent / os.sysconf("SC_CLK_TCK")


def stages(port: int) -> dict[str, tuple[float, float]]:
    """Number and sum of seconds of each stage so far, from the service's own metrics."""
    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")
    return {
        stage: (
            float(values[f'daybook_stage_seconds_count{{stage="{stage}"}}']),
            float(values[f'daybook_stage_seconds_sum{{stage="{stage}"}}']),
        )
        for stage in STAGES
    }


def spent(before: dict, after: dict) -> dict[str, float]:
    """Mean milliseconds of each stage in between."""
    return {
        stage: 1000 * (after[stage][1] - before[stage][1]) / (after[stage][0] - before[stage][0])
        for stage in STAGES
    }


# ---- the clients


def infer(model: str, images: np.ndarray, binary: bool) -> bytes:
    """An inference request of the Open Inference Protocol, whose answer comes as it is asked.

    Parameters
    ----------
    images : uint8 (n, 3, S, S)
    binary : bool   whether tensors are sent as bytes after the JSON object, or in it
    """
    tensor = {"name": "images", "datatype": "UINT8", "shape": images.shape}
    tensor |= (
        {"parameters": {"binary_data_size": images.size}}
        if binary
        else {"data": images.ravel().tolist()}
    )
    request = {"inputs": [tensor], "parameters": {"binary_data_output": binary}}
    text = json.dumps(request, separators=(",", ":")).encode()
    path, header = f"/v2/models/{model}/infer", f"Inference-Header-Content-Length: {len(text)}"
    if binary:
        return post(path, text + images.tobytes(), f"application/octet-stream\r\n{header}")
    return post(path, text, "application/json")


def asked(
    port: int, group: int, requests: list[bytes], seconds: float, **how: Any
) -> dict[str, Any]:
    """Have the clients ask; what they saw, and what the server spent on it."""
    before = cpu_seconds(group)
    found = uvloop.run(ask(port, requests, seconds, **how))
    return found | {"CPU ms": 1000 * (cpu_seconds(group) - before) / found.pop("asked")}


async def ask(
    port: int, requests: list[bytes], seconds: float, clients: int = 0, rate: float = 0
) -> dict[str, Any]:
    """Ask for so long: with so many clients, or so many times a second.

    The first fifth of the time warms up and does not count.
    """
    crowd = Crowd(port, requests, time.perf_counter() + seconds)
    cpu = sum(os.times()[:2])
    begin = time.perf_counter() + seconds / 5
    await (crowd.in_turn(clients) if clients else crowd.at_rate(rate))
    share = (sum(os.times()[:2]) - cpu) / seconds
    counted = [(status, took) for status, took, at in crowd.answers if begin <= at <= crowd.end]
    good = sorted(1000 * took for status, took in counted if status == 200)
    found: dict[str, Any] = {
        "answers/s": len(good) / (crowd.end - begin),
        "mean ms": statistics.fmean(good),
        "p50 ms": good[len(good) // 2],
        "p99 ms": good[int(0.99 * len(good))],
        "client CPU": share,
        "asked": len(crowd.answers),
    }
    if rate:
        found["offered/s"] = len(counted) / (crowd.end - begin)
        found["statuses"] = dict(Counter(status for status, _ in counted))
    return found


if __name__ == "__main__":
    main()
