"""The one shape of every refusal."""

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
