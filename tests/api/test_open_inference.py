"""The Open Inference Protocol, asked by hand from its text and by Triton's own client."""

import json
import struct

import numpy as np
import pytest

from tests.api.service import TOKEN

URL = "/v2/models/digits/infer"


@pytest.fixture(scope="module")
def images(digits):
    return digits.test.images[:3]


@pytest.fixture(scope="module")
def expected(predictor, images):
    return predictor.probabilities(images).numpy()


def request(images, **changes):
    """The protocol's inference request object."""
    tensor = {
        "name": "images",
        "shape": list(images.shape),
        "datatype": "UINT8",
        "data": images.flatten().tolist(),
    }
    return {"inputs": [tensor | changes]}


def test_health_and_metadata(server):
    get = server.client.get
    for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/digits/ready"):
        assert get(path).status_code == 200
    assert get("/v2/health/live").json() == {"live": True}
    assert get("/v2/models/digits/ready").json() == {"name": "digits", "ready": True}
    assert get("/v2").json() == {
        "name": "vision-daybook",
        "version": "1",
        "extensions": ["binary_tensor_data"],
    }
    assert get("/v2/models/digits").json() == {
        "name": "digits",
        "platform": "onnx_onnxv1",
        "inputs": [{"name": "images", "datatype": "UINT8", "shape": [-1, 3, 16, 16]}],
        "outputs": [
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, 10]},
            {"name": "labels", "datatype": "BYTES", "shape": [-1]},
        ],
    }


@pytest.mark.parametrize("nested", [False, True])
def test_an_inference_request_by_hand(server, images, expected, nested):
    body = {"id": "42"} | request(images, **({"data": images.tolist()} if nested else {}))
    response = server.client.post(URL, json=body)
    assert response.status_code == 200
    answer = response.json()
    assert (answer["model_name"], answer["id"]) == ("digits", "42")
    probabilities, labels = answer["outputs"]
    assert {k: probabilities[k] for k in ("name", "shape", "datatype")} == {
        "name": "probabilities",
        "shape": [3, 10],
        "datatype": "FP32",
    }
    assert np.reshape(probabilities["data"], (3, 10)) == pytest.approx(expected, abs=1e-5)
    assert labels == {
        "name": "labels",
        "shape": [3],
        "datatype": "BYTES",
        "data": [str(index) for index in expected.argmax(1)],
    }


def test_only_the_outputs_asked_for_come(server, images):
    body = request(images) | {"outputs": [{"name": "labels"}]}
    answer = server.client.post(URL, json=body).json()
    assert "id" not in answer
    assert [output["name"] for output in answer["outputs"]] == ["labels"]


def test_a_client_that_sends_every_field_is_answered(server, images):
    """The request object as a pydantic model dumps it, with null for what is not set."""
    unset = {"id": None, "parameters": None, "outputs": None}
    body = request(images, parameters=None) | unset
    answer = server.client.post(URL, json=body)
    assert answer.status_code == 200
    assert answer.json() == server.client.post(URL, json=request(images)).json()
    assert "id" not in answer.json()


def test_tensors_as_bytes(server, images, expected):
    """By hand from the text of the binary tensor data extension."""
    raw = images.numpy().tobytes()
    tensor = request(images)["inputs"][0] | {"parameters": {"binary_data_size": len(raw)}}
    del tensor["data"]
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    response = server.client.post(
        URL, content=head + raw, headers={"Inference-Header-Content-Length": str(len(head))}
    )
    assert response.headers["Content-Type"] == "application/octet-stream"
    length = int(response.headers["Inference-Header-Content-Length"])
    outputs = json.loads(response.content[:length])["outputs"]
    sizes = [output["parameters"]["binary_data_size"] for output in outputs]
    rest = response.content[length:]
    assert sizes[0] == 3 * 10 * 4
    assert len(rest) == sum(sizes)
    found = np.frombuffer(rest[: sizes[0]], "<f4").reshape(3, 10)
    assert found == pytest.approx(expected, abs=1e-5)
    labels = [str(index).encode() for index in expected.argmax(1)]
    assert rest[sizes[0] :] == b"".join(struct.pack("<I", len(x)) + x for x in labels)


@pytest.mark.parametrize("binary", [False, True])
def test_tritons_client_gets_the_same(server, images, expected, binary):
    import tritonclient.http as triton

    client = triton.InferenceServerClient(f"127.0.0.1:{server.port}")
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("digits")
    metadata = client.get_model_metadata("digits")
    tensor = triton.InferInput(
        metadata["inputs"][0]["name"], list(images.shape), metadata["inputs"][0]["datatype"]
    )
    tensor.set_data_from_numpy(images.numpy(), binary_data=binary)
    outputs = [
        triton.InferRequestedOutput(output["name"], binary_data=binary)
        for output in metadata["outputs"]
    ]
    result = client.infer("digits", [tensor], outputs=outputs, request_id="7")
    assert result.get_response()["id"] == "7"
    assert result.as_numpy("probabilities") == pytest.approx(expected, abs=1e-5)
    labels = [x.decode() if binary else x for x in result.as_numpy("labels").tolist()]
    assert labels == [str(index) for index in expected.argmax(1)]
    assert client.infer("digits", [tensor]).as_numpy("probabilities").shape == (3, 10)


def test_a_tensor_that_does_not_fit_is_refused_as_the_protocol_says(server, images):
    response = server.client.post(URL, json=request(images, shape=[3, 3, 17, 16]))
    assert response.status_code == 400
    assert "should be [N, 3, 16, 16]" in response.json()["error"]


def test_unknown_outputs_and_header_lengths_are_refused(server, images):
    body = request(images) | {"outputs": [{"name": "logits"}]}
    assert "unknown output 'logits'" in server.client.post(URL, json=body).json()["error"]
    for length in ("-1", "x", "99999999999", "9" * 5000):
        headers = {"Inference-Header-Content-Length": length}
        answer = server.client.post(URL, json=request(images), headers=headers)
        assert answer.status_code == 400


def test_another_model_is_not_here(server, images):
    for response in (
        server.client.get("/v2/models/other"),
        server.client.get("/v2/models/other/ready"),
        server.client.post("/v2/models/other/infer", json=request(images)),
    ):
        assert response.status_code == 404
        assert "/v2/models/other" in response.json()["error"]


def test_too_many_pictures_are_refused(server, guarded, images):
    four = images[[0, 1, 2, 0]]
    assert server.client.post(URL, json=request(four)).status_code == 200
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert guarded.client.post(URL, json=request(four), headers=headers).status_code == 413
    assert server.client.post(URL, content=b" " * 1_000_000).status_code == 413
