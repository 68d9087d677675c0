"""The metrics that Prometheus reads."""

from api.metrics import Metrics


def test_metrics_count_what_happened(server, pngs):
    def value(line):
        found = [
            row for row in server.client.get("/metrics").text.splitlines() if row.startswith(line)
        ]
        return float(found[0].split()[-1]) if found else 0.0

    counts = [
        'daybook_requests_total{method="POST",path="/predict",status="200"}',
        'daybook_request_seconds_count{path="/predict"}',
        "daybook_batch_pictures_sum",
        "daybook_confidence_count",
        'daybook_stage_seconds_count{stage="model"}',
    ]
    before = [value(line) for line in counts]
    server.predict(*pngs[:3])
    after = [value(line) for line in counts]
    assert [b - a for a, b in zip(before, after, strict=True)] == [1, 1, 3, 3, 1]
    assert value("daybook_queue_pictures") == 0


def test_two_applications_in_one_process_do_not_share_counts():
    one, other = Metrics(), Metrics()
    one.request("GET", "/model", 200, 0.004)
    line = b'daybook_requests_total{method="GET",path="/model",status="200"} 1.0'
    assert line in one.text()
    assert line not in other.text()
