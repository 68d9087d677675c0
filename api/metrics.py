"""Prometheus metrics: requests, latency, batch size, queue length, confidence.

Each application has its own registry, so that two in one process do not share counts.
"""

import time

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
STAGES = ("reading", "decoding", "waiting", "model", "writing")


class Metrics:
    """Metrics of one application."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "daybook_requests_total",
            "Requests by method, path and status; 499: the client closed the connection.",
            ("method", "path", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "daybook_request_seconds",
            "Duration of a request, from its headers to the last byte of the response.",
            ("path",),
            buckets=SECONDS,
            registry=self.registry,
        )
        stages = Histogram(
            "daybook_stage_seconds",
            "Duration of each stage of a request.",
            ("stage",),
            buckets=SECONDS,
            registry=self.registry,
        )
        self._stages = {stage: stages.labels(stage) for stage in STAGES}
        self._batch = Histogram(
            "daybook_batch_pictures",
            "Pictures per batch.",
            buckets=(1, 2, 4, 8, 16, 32, 64, 128),
            registry=self.registry,
        )
        self.queue = Gauge(
            "daybook_queue_pictures",
            "Pictures that are waiting for the model.",
            registry=self.registry,
        )
        self._confidence = Histogram(
            "daybook_confidence",
            "Calibrated confidence of each prediction.",
            buckets=[tenth / 10 for tenth in range(1, 11)],
            registry=self.registry,
        )

    def request(self, method: str, path: str, status: int, seconds: float) -> None:
        self._requests.labels(method, path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def stage(self, name: str, seconds: float) -> None:
        self._stages[name].observe(seconds)

    def timed(self, name: str) -> "Timed":
        """Record how long a block takes, as a stage, unless it fails."""
        return Timed(self._stages[name])

    def batch(self, pictures: int) -> None:
        self._batch.observe(pictures)

    def confidence(self, probability: float) -> None:
        self._confidence.observe(probability)

    def text(self) -> bytes:
        """All metrics in the Prometheus text format."""
        return generate_latest(self.registry)


class Timed:
    """A block whose duration a histogram observes, unless it fails."""

    def __init__(self, histogram: Histogram) -> None:
        self._histogram = histogram

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._histogram.observe(time.perf_counter() - self._started)
