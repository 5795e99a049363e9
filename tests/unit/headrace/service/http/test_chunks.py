"""Chunked bodies, in whatever pieces they come, and what is no chunked body."""

from __future__ import annotations

import pytest

from headrace.service.http.chunks import ChunkDecoder
from headrace.service.http.heads import MalformedHttp

BODY = b"5\r\nhello\r\n1;name=value\r\n,\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_pieces_of_any_size(size: int) -> None:
    """The same body, and what follows it is left."""
    decoder, body = ChunkDecoder(), b""
    sent = BODY + b"GET / HTTP/1.1\r\n"
    position = 0
    while not decoder.has_ended:
        body += b"".join(decoder.feed(sent[position : position + size]))
        position += size
    assert b"hello,0123456789" == body
    assert b"GET / HTTP/1.1\r\n" == decoder.rest + sent[position:]


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense",
        b"nonsense\r\n",
        b"-1\r\n",
        b"+1\r\nx\r\n",
        b"0x1\r\nx\r\n",
        b"1 1\r\nx\r\n",
        b"f" * 16 + b"\r\n",
        b"1\nx\r\n",
        b"1;a\rb\r\nx\r\n",
        b"1\r\nxy\r\n",
        b"1\r\nx\n",
        b"\r\n",
        b"1;" + b"x" * 5000,
        b"0\r\n" + b"a: b\r\n" * 5000,
        b"0\r\na: b\n",
    ],
)
def test_what_is_no_chunk_is_refused(sent: bytes) -> None:
    """By its first wrong line: whoever stands in front of the port may read it otherwise."""
    with pytest.raises(MalformedHttp):
        list(ChunkDecoder().feed(sent))
