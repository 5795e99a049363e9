"""HTTP/1.1 by hand: any bytes to a port, and the status and reason of the first answer."""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from typing import Any

ANSWER_SECONDS = 10.0
INFER_PATH = "/v2/models/scale/infer"
HEADER_LENGTH = "Inference-Header-Content-Length"


def ask(address: str, sent: bytes) -> str:
    """What a server answers to these bytes: `400 MALFORMED_JSON`, `200`, or `closed`."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=ANSWER_SECONDS) as plain:
        with suppress(ConnectionError):  # it need not read all to refuse
            plain.sendall(sent)
        return _outcome(_answer(plain))


def _answer(plain: socket.socket) -> bytes:
    """All of the first answer, whether or not the server closes then."""
    came = b""
    while not _is_whole(came):
        try:
            part = plain.recv(65536)
        except ConnectionError:
            return came
        if not part:
            return came
        came += part
    return came


def _is_whole(came: bytes) -> bool:
    head, separator, body = came.partition(b"\r\n\r\n")
    lengths = [
        line[15:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
    ]
    return bool(separator and lengths) and len(body) >= int(lengths[0])


def _outcome(came: bytes) -> str:
    if not came:
        return "closed"
    head, _, body = came.partition(b"\r\n\r\n")
    try:
        answer: Any = json.loads(body)
    except ValueError:
        answer = {}
    reason = answer.get("reason", "") if isinstance(answer, dict) else ""
    return f"{head.split(b' ')[1].decode()} {reason}".strip()


def post(body: bytes, *headers: str, path: str = INFER_PATH) -> bytes:
    """A POST with a true length."""
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def get(path: bytes, method: bytes = b"GET") -> bytes:
    """A request without a body."""
    return method + b" " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def document(**changes: Any) -> dict[str, Any]:
    """A good request as JSON is made of, its one input changed; None takes a member away."""
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]} | changes
    return {"inputs": [{key: value for key, value in tensor.items() if value is not None}]}


def encoded(value: object) -> bytes:
    """JSON."""
    return json.dumps(value).encode()
