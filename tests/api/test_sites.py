"""Requests of foreign pages, foreign names, and the headers for browsers."""

import httpx
import pytest

from tests.api.service import refused, serving


@pytest.fixture(scope="module")
def named(bundle, tmp_path_factory):
    """The service on all addresses, with a name of its own."""
    flags = ["--host", "0.0.0.0", "--allow-host", "daybook.example"]
    with serving(bundle, tmp_path_factory.mktemp("named"), *flags) as server:
        yield server


@pytest.fixture(scope="module")
def anybody(bundle, tmp_path_factory):
    with serving(bundle, tmp_path_factory.mktemp("anybody"), "--allow-host", "*") as server:
        yield server


ADDRESSES = ["127.0.0.1", "127.0.0.1:8000", "10.1.2.3:80", "[::1]:8000", "[2001:db8::1]"]
LOOPBACK = ["localhost", "LOCALHOST:8000", "localhost."]
FOREIGN = ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example"]
NO_HOSTS = ["", "localhost:port", "a@localhost", "localhost/x", "[::1", "a b", "localhost, b"]


@pytest.mark.parametrize("host", ADDRESSES + LOOPBACK)
def test_addresses_and_loopback_names_are_answered(server, host):
    assert server.client.get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/predict", "/docs/", "/static-offline-docs", "/no"])
@pytest.mark.parametrize("host", FOREIGN)
def test_a_foreign_name_is_refused_and_not_repeated(server, host, path):
    answer = server.client.get(path, headers={"Host": host}, follow_redirects=False)
    assert "--allow-host" in refused(answer, 421, "foreign_host")
    assert "evil" not in str(answer.headers) + answer.text


@pytest.mark.parametrize("host", NO_HOSTS)
def test_what_is_no_host_is_refused(server, host):
    refused(server.client.get("/healthz", headers={"Host": host}), 400, "bad_host")


def test_a_name_that_is_allowed_is_answered_and_no_other(named):
    for host in ("daybook.example", "DayBook.example:80", "localhost", "0.0.0.0", "10.0.0.1"):
        assert named.client.get("/healthz", headers={"Host": host}).status_code == 200
    refused(named.client.get("/", headers={"Host": "other.example"}), 421, "foreign_host")


@pytest.mark.parametrize("path", ["/docs/", "/predict/", "/static-offline-docs", "/v2/"])
def test_where_any_name_is_allowed_no_redirect_repeats_it(anybody, path):
    answer = anybody.client.get(path, headers={"Host": "a.example"}, follow_redirects=False)
    assert answer.status_code == 404
    assert "a.example" not in str(answer.headers) + answer.text
    assert anybody.client.get("/healthz", headers={"Host": "a.example"}).status_code == 200


CROSS = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
LINK = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
FOREIGN_PAGES = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://localhost:1"},
    {"Origin": "http://[damaged"},
    {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site", **LINK},
    CROSS,
    CROSS | {"Sec-Fetch-Site": "same-site"},
    CROSS | {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
]


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS", "DELETE"])
@pytest.mark.parametrize("sent", FOREIGN_PAGES)
def test_requests_of_foreign_pages_are_refused(server, guarded, method, sent):
    for service in (server, guarded):
        answer = service.client.request(method, "/predict", headers=sent)
        assert answer.status_code == 403
        assert "Access-Control-Allow-Origin" not in answer.headers
        if method != "HEAD":
            refused(answer, 403, "foreign_origin")


def test_a_form_of_a_foreign_page_is_not_read(server, pngs):
    answer = server.predict(pngs[0], headers={"Origin": "https://evil.example"})
    assert "https://evil.example" in refused(answer, 403, "foreign_origin")


def test_a_followed_link_opens_the_page(server):
    followed = {"Sec-Fetch-Site": "cross-site", **LINK}
    for path in ("/", "/docs"):
        assert server.client.get(path, headers=followed).status_code == 200
    refused(server.client.post("/predict", headers=followed), 403, "foreign_origin")


def test_own_pages_named_origins_and_other_clients_are_answered(server, guarded, pngs):
    own = f"http://127.0.0.1:{server.port}"
    for headers in (
        {},
        {"Origin": own},
        {"Origin": own, "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://daybook.example", "Sec-Fetch-Site": "same-origin"},  # behind a proxy
        {"Origin": "https://localhost", "Host": "localhost:443"},
        {"Origin": "http://localhost", "Host": "localhost"},
    ):
        assert server.predict(pngs[0], headers=headers).status_code == 200, headers
    named = guarded.predict(pngs[0], headers={"Origin": "https://a.example"})
    assert named.status_code == 200
    assert named.headers["Access-Control-Allow-Origin"] == "https://a.example"


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/", {}),
        ("/docs", {}),
        ("/openapi.json", {}),
        ("/static-offline-docs/swagger-ui.css", {}),
        ("/healthz", {}),
        ("/model", {}),
        ("/predict", {}),
        ("/nowhere", {}),
        ("/", {"Host": "evil.example"}),
        ("/", {"Origin": "https://evil.example"}),
        ("/", {"X": "x" * 20_000}),
    ],
)
def test_every_response_tells_browsers_to_keep_to_themselves(server, path, headers):
    with httpx.Client(base_url=server.client.base_url) as client:
        answer = client.get(path, headers=headers)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
