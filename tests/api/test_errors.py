"""The one shape of every refusal."""

import json

from api.errors import DESCRIPTIONS, busy
from tests.api.service import refused


def test_parameters_out_of_range_are_refused(server, pngs):
    assert refused(server.predict(pngs[0], params={"top": 0}), 422, "invalid_parameter")
    answer = server.client.post("/explain", files={"file": pngs[0]}, params={"target": "seven"})
    assert "no class 'seven'" in refused(answer, 422, "unknown_class")


def test_unknown_paths_and_methods_are_refused(server):
    refused(server.client.get("/nowhere"), 404, "not_found")
    response = server.client.get("/predict")
    refused(response, 405, "method_not_allowed")
    assert response.headers["Allow"] == "POST"


def test_every_refusal_in_the_description_has_the_one_shape(server):
    description = server.client.get("/openapi.json").json()
    refusals = [
        response["content"]["application/json"]["schema"]
        for methods in description["paths"].values()
        for operation in methods.values()
        for status, response in operation["responses"].items()
        if status in map(str, DESCRIPTIONS) and response["description"] == DESCRIPTIONS[int(status)]
    ]
    assert len(refusals) > 10
    assert {"$ref": "#/components/schemas/ErrorBody"} in refusals
    assert all(schema == refusals[0] for schema in refusals)


def test_a_busy_service_tells_when_to_retry():
    response = busy(3).response("a-1")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "3")
    assert json.loads(response.body)["request_id"] == "a-1"
