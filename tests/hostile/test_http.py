"""What is no HTTP, or names what is not there, on every HTTP port of the suite."""

from __future__ import annotations

import pytest

from tests.hostile.http import INFER_PATH, ask, get
from tests.hostile.target import Target

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.parametrize("running_target", ["native"], indirect=True),
]

POST = f"POST {INFER_PATH} HTTP/1.1\r\nHost: x\r\n".encode()
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n"
GET = b"GET /v2 HTTP/1.1\r\nHost: x\r\n"
NO_HTTP = "400 BAD_REQUEST"

LINES = {
    "binary": b"\0\1\2\r\n\r\n",
    "TLS": bytes.fromhex("1603010200") + bytes(200),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/3.0": b"GET /v2 HTTP/3.0\r\nHost: x\r\n\r\n",
    "a verb in lower case": b"get /v2 HTTP/1.1\r\nHost: x\r\n\r\n",
    "an unknown verb": b"FOO /v2 HTTP/1.1\r\nHost: x\r\n\r\n",
    "a NUL in the verb": b"G\0T /v2 HTTP/1.1\r\nHost: x\r\n\r\n",
    "no host": b"GET /v2 HTTP/1.1\r\n\r\n",
    "line feeds only": b"GET /v2 HTTP/1.1\nHost: x\n\n",
    "2,000 headers": GET + b"".join(b"X-%d: 1\r\n" % number for number in range(2000)) + b"\r\n",
    "a header without a colon": GET + b"nocolon\r\n\r\n",
    "a header with a space": GET + b"X : a\r\n\r\n",
    "a header that is folded": GET + b"X: a\r\n b\r\n\r\n",
    "NUL in a header": GET + b"X: a\0b\r\n\r\n",
    "a path with DEL": get(b"/v2/models/scale\x7f"),
    "a path with bare UTF-8": get("/v2/models/é".encode()),
    "a path without a slash": get(b"v2"),
    "a negative length": POST + b"Content-Length: -1\r\n\r\n",
    "a length of 2^70": POST + b"Content-Length: %d\r\n\r\n" % 2**70,
    "two lengths": POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "a length and chunks": CHUNKED + b"Content-Length: 2\r\n\r\n0\r\n\r\n",
    "chunks of a size that is none": CHUNKED + b"\r\nzzz\r\n",
    "chunks of 2^68": CHUNKED + b"\r\nfffffffffffffffff\r\n",
    "chunks of a negative size": CHUNKED + b"\r\n-5\r\n",
    "an unknown transfer": POST + b"Transfer-Encoding: xyz\r\n\r\n{}",
}
TOO_LARGE = "431 REQUEST_HEADER_FIELDS_TOO_LARGE"
LARGE = {
    "a line of 100 kB": b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "a header of 100 kB": GET + b"X: " + b"a" * 100_000 + b"\r\n\r\n",
    "a hundred headers of 1 kB": GET
    + b"".join(b"X-%d: %b\r\n" % (n, b"a" * 1000) for n in range(100))
    + b"\r\n",
}

NOT_FOUND, NO_MODEL = "404 NOT_FOUND", "404 MODEL_NOT_FOUND"
PATHS = {
    b"/v2": "200",
    b"/v2?x=%ff": "200",
    b"/": "200",
    b"/v2/models/": NOT_FOUND,
    b"/v2/models/nope": NO_MODEL,
    b"/v2/models/..": NO_MODEL,
    b"/v2/models/../../etc/passwd": NOT_FOUND,
    b"/v2/models/%2e%2e%2f%2e%2e%2fetc": NO_MODEL,
    b"/v2/models/scale%2f..": NO_MODEL,
    b"/v2/models/%00": NO_MODEL,
    b"/v2/models/%ff": NO_MODEL,
    b"/v2/models/%zz": NO_MODEL,
    b"/v2/models/%e4%b8%ad": NO_MODEL,
    b"/v2/models/" + b"a" * 5000: NO_MODEL,
    b"/v2/models/@stable": NO_MODEL,
    b"/v2/models/scale@": "400 VERSION_INVALID",
    b"/v2/models/scale@@": "400 VERSION_INVALID",
    b"/v2/models/scale@nope": "404 ALIAS_NOT_FOUND",
    b"/v2/models/scale/../scale": NOT_FOUND,
    b"//v2//models//scale": NOT_FOUND,
    b"/v2/models/scale/versions/": NOT_FOUND,
    b"/v2/models/scale/versions/0": "404 VERSION_NOT_FOUND",
    b"/v2/models/scale/versions/01": "400 VERSION_INVALID",
    b"/v2/models/scale/versions/-1": "400 VERSION_INVALID",
    b"/v2/models/scale/versions/9999999999999999999999": "404 VERSION_NOT_FOUND",
    b"/v2/models/scale/versions/%2e%2e": "400 VERSION_INVALID",
    b"/v2/models/scale/infer": "405 METHOD_NOT_ALLOWED",
}

ELSEWHERE = [
    ("metrics", b"/../../etc/passwd", NOT_FOUND),
    ("metrics", b"/%2e%2e/%2e%2e/etc/passwd", NOT_FOUND),
    ("metrics", b"/metrics/..%2f", NOT_FOUND),
    ("registry", b"/../../etc/passwd", NOT_FOUND),
    ("registry", b"/models/scale", NOT_FOUND),
    ("monitor", b"/../../etc/passwd", NOT_FOUND),
    ("monitor", b"/api/statistics?window=nan", "400 INVALID_QUERY"),
    ("monitor", b"/api/statistics?window=inf", "400 INVALID_QUERY"),
    ("monitor", b"/api/statistics?window=-1", "400 INVALID_QUERY"),
    ("monitor", b"/api/statistics?window=1e308", "400 INVALID_QUERY"),
    ("monitor", b"/api/statistics?window=" + b"9" * 5000, "400 INVALID_QUERY"),
    ("monitor", b"/api/series?window=60&step=0", "400 INVALID_QUERY"),
    ("monitor", b"/api/series?step=<script>", "400 INVALID_QUERY"),
]


@pytest.mark.parametrize("sent", LINES.values(), ids=LINES)
def test_no_http(target: Target, sent: bytes) -> None:
    """Bytes that are no proper HTTP get a 400."""
    assert NO_HTTP == ask(target.http_address("inference"), sent)


@pytest.mark.parametrize("sent", LARGE.values(), ids=LARGE)
def test_too_much_before_a_body(target: Target, sent: bytes) -> None:
    """Headers have a bound of their own, and a status."""
    assert TOO_LARGE == ask(target.http_address("inference"), sent)


@pytest.mark.parametrize(
    ("path", "expected"), PATHS.items(), ids=[repr(path)[:50] for path in PATHS]
)
def test_path(target: Target, path: bytes, expected: str) -> None:
    """A path leads to what it names or to nothing, whatever tricks are in it."""
    assert expected == ask(target.http_address("inference"), get(path))


@pytest.mark.parametrize(("service", "path", "expected"), ELSEWHERE)
def test_path_elsewhere(target: Target, service: str, path: bytes, expected: str) -> None:
    """So it is on the other ports."""
    assert expected == ask(target.http_address(service), get(path))


@pytest.mark.parametrize("service", ["metrics", "registry", "monitor"])
@pytest.mark.parametrize(
    "sent",
    [LINES["binary"], LINES["TLS"], LINES["2,000 headers"]],
    ids=["binary", "TLS", "headers"],
)
def test_no_http_elsewhere(target: Target, service: str, sent: bytes) -> None:
    """What is no HTTP is refused on the other ports, too."""
    assert ask(target.http_address(service), sent).startswith("400")
