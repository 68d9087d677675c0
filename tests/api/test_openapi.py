"""The OpenAPI description: valid, complete, and what the service does."""

import json
import os
import subprocess
import sys

import httpx
import jsonschema
import pytest
from openapi_spec_validator import validate

from api import openapi
from tests.api.service import ROOT, TOKEN


def test_the_description_is_valid(server):
    description = server.client.get("/openapi.json").json()
    validate(description)
    undescribed = [
        (path, method)
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
        if not operation.get("description")
    ]
    assert undescribed == []


@pytest.mark.parametrize("which", ["server", "guarded"])
def test_schemathesis_finds_no_failure(which, request, tmp_path):
    """Examples, every boundary, random requests and sequences, good ones and bad ones."""
    server = request.getfixturevalue(which)
    command = [sys.executable, "-m", "schemathesis.cli"]
    command += ["--config-file", str(ROOT / "tests/api/schemathesis.toml"), "--no-color"]
    command += ["run", f"http://127.0.0.1:{server.port}/openapi.json"]
    command += ["--checks", "all", "--max-examples", "40", "--seed", "1", "--workers", "1"]
    command += ["--generation-database", "none", "--header", f"Authorization: Bearer {TOKEN}"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    found = subprocess.run(
        command,
        cwd=tmp_path,  # Schemathesis leaves files where it runs
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert found.returncode == 0, found.stdout.decode()
    assert b"no issues found" in found.stdout.lower(), found.stdout.decode()
    assert '"level": "error"' not in server.log.read_text()


def described(server):
    """Everything that the description and /docs tell anybody, and the values of the parameters."""
    client = httpx.Client(base_url=server.client.base_url)
    with client:
        text = client.get("/openapi.json").text
        operations = [
            operation
            for methods in json.loads(text)["paths"].values()
            for operation in methods.values()
        ]
        values = [
            parameter["schema"]["enum"]
            for operation in operations
            for parameter in operation.get("parameters", [])
            if "enum" in parameter["schema"]
        ]
        return text + client.get("/docs").text, values


def test_where_a_token_is_needed_the_description_says_nothing_of_the_model(server, guarded):
    text, values = described(server)
    assert "digits" in text
    assert [str(digit) for digit in range(10)] in values
    text, values = described(guarded)
    assert "digits" not in text
    assert values == []


def test_the_example_of_a_tensor_fits_its_own_schema():
    content = openapi.tensor_body(8)["requestBody"]["content"]["application/json"]
    (example,) = content["schema"]["examples"]
    jsonschema.validate(example, content["schema"])
    too_large = openapi.tensor_body(openapi.MAX_EXAMPLE_SIDE + 1)
    assert "examples" not in str(too_large)
