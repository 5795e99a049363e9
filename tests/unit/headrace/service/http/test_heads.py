"""Heads of requests: what they say, and which are refused because they can be read in two ways."""

from __future__ import annotations

import pytest

from headrace.service.http.heads import HeadParser, MalformedHttp, PartialHead, RequestHead


def head_of(*lines: str, first: str = "POST /a?b=c&d HTTP/1.1") -> RequestHead:
    """The head with these lines."""
    return HeadParser().parse("\r\n".join([first, "Host: x", *lines, "", ""]).encode("latin-1"))


def test_what_a_head_says() -> None:
    """Names in lower case, values as they are, the first of several."""
    head = head_of("X-Thing: One", "x-thing: Two", "Content-Length: 7", "U: ü")
    assert ("POST", "/a", {"b": "c", "d": ""}) == (head.method, head.path, head.query)
    assert ("One", "", 7, False) == (
        head.get("x-thing"),
        head.get("other"),
        head.content_length,
        head.is_chunked,
    )


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/v2/models/a%20b", "/v2/models/a b"),
        ("http://host:80/v2?x=1", "/v2"),
        ("http://host", "/"),
        ("/a#b?c", "/a"),
        ("/%ff", "/�"),
    ],
)
def test_paths(target: str, path: str) -> None:
    """Decoded, without the query, also where a proxy's form names the host."""
    assert path == head_of(first=f"GET {target} HTTP/1.1").path


@pytest.mark.parametrize(
    ("version", "lines", "goes_on"),
    [
        ("1.1", [], True),
        ("1.1", ["Connection: close"], False),
        ("1.1", ["Connection: keep-alive, Close"], False),
        ("1.1", ["Connection: Upgrade", "Upgrade: h2c"], True),
        ("1.0", [], False),
        ("1.0", ["Connection: Keep-Alive"], True),
    ],
)
def test_whether_a_connection_goes_on(version: str, lines: list[str], goes_on: bool) -> None:
    """As its version says, and its client."""
    assert goes_on == head_of(*lines, first=f"GET / HTTP/{version}").is_persistent


@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Length: 5", "Content-Length: 5"],
        ["Content-Length: 5", "Content-Length: 6"],
        ["Content-Length: 5, 5"],
        ["Content-Length: +5"],
        ["Content-Length: 5 6"],
        ["Content-Length: 0x5"],
        ["Content-Length: "],
        ["Content-Length: 5", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: gzip, chunked"],
        ["Transfer-Encoding: chunked, identity"],
        ["Transfer-Encoding: identity"],
        ["Transfer-Encoding : chunked"],
        ["A: x\nContent-Length: 5"],
        ["Host: y"],
        ["A: b", " folded: c"],
        ["A: b\0"],
        ["A\t: b"],
    ],
)
def test_heads_that_can_be_read_in_two_ways_are_refused(lines: list[str]) -> None:
    """Whoever stands in front of the port may see another request in them."""
    with pytest.raises(MalformedHttp):
        head_of(*lines)


@pytest.mark.parametrize("first", ["GET / HTTP/2.0", "GET / HTTP/0.9", "GET /", "BREW / HTTP/1.1"])
def test_other_first_lines(first: str) -> None:
    """They are refused."""
    with pytest.raises(MalformedHttp):
        head_of(first=first)


def test_heads_that_repeat_are_one() -> None:
    """So what was found out about one need not be again."""
    parser, text = HeadParser(), b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    assert parser.parse(text) is parser.parse(bytes(bytearray(text)))


def test_what_is_kept_is_bounded() -> None:
    """Clients with ever new heads, and long ones, do not make the process grow."""
    parser = HeadParser()
    for number in range(3000):
        parser.parse(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % number)
    parser.parse(b"GET / HTTP/1.1\r\nHost: x\r\nA: %b\r\n\r\n" % (b"a" * 5000))
    assert 1024 >= len(parser._kept)
    assert 4096 > max(map(len, parser._kept))


def test_what_is_wrong_is_told_before_the_end() -> None:
    """A client that speaks another protocol does not wait for an answer in vain."""
    partial = PartialHead()
    partial.feed(b"GET / HT")
    with pytest.raises(MalformedHttp):
        partial.feed(b"\x16\x03\x01\x02")
