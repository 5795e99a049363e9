"""Pushes that lie: about size, digest, name and order, or that end early. None leaves anything behind."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from headrace.registry.v1 import registry_service_pb2 as pb
from headrace.type.v1 import serving_config_pb2
from tests.e2e.models import scaling
from tests.hostile.target import CALL_SECONDS, MIB, Target

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.parametrize("running_target", ["native"], indirect=True),
]

PUSH = "/headrace.registry.v1.RegistryService/PushVersion"
GRAPH = scaling(2.0)
WRONG = "INVALID_ARGUMENT"
NEGATIVE_BATCH = serving_config_pb2.ServingConfig(batching={"max_batch_size": -5})


def header(**changes: Any) -> bytes:
    """The first message of a push of `GRAPH`, changed."""
    announced: dict[str, Any] = {
        "parent": "models/pushed",
        "filename": "model.onnx",
        "size_bytes": len(GRAPH),
        "sha256": hashlib.sha256(GRAPH).hexdigest(),
        "create_model": True,
    } | changes
    message = pb.PushVersionRequest(header=pb.PushVersionRequest.Header(**announced))
    return message.SerializeToString()


def chunk(content: bytes) -> bytes:
    """A later message."""
    return pb.PushVersionRequest(chunk=content).SerializeToString()


def whole(content: bytes, **changes: Any) -> list[bytes]:
    """A push that says truly what it brings."""
    truth: dict[str, Any] = {
        "size_bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    return [header(**truth, **changes), chunk(content)]


SIZE, KIND = f"{WRONG} ARTIFACT_SIZE_MISMATCH", f"{WRONG} FILENAME_UNSUPPORTED"
TOO_LARGE = "RESOURCE_EXHAUSTED ARTIFACT_TOO_LARGE"
ROWS: list[tuple[str, Sequence[bytes], str]] = [
    ("nothing", [], f"{WRONG} PUSH_HEADER_MISSING"),
    ("an empty message", [b""], f"{WRONG} PUSH_HEADER_MISSING"),
    ("a chunk first", [chunk(GRAPH), header()], f"{WRONG} PUSH_HEADER_MISSING"),
    ("the header twice", [header(), header(), chunk(GRAPH)], f"{WRONG} PUSH_CHUNK_MISSING"),
    ("the header again", [header(), chunk(GRAPH[:9]), header()], f"{WRONG} PUSH_CHUNK_MISSING"),
    ("garbage", [b"\xff\xff"], f"{WRONG} MALFORMED_REQUEST"),
    ("garbage in between", [header(), b"\xff\xff"], f"{WRONG} MALFORMED_REQUEST"),
    ("no chunks", [header()], SIZE),
    ("an early end", [header(), chunk(GRAPH[:-1])], SIZE),
    ("more than announced", [header(), chunk(GRAPH), chunk(b"x")], SIZE),
    ("much more than announced", [header(size_bytes=1), *[chunk(bytes(4 * MIB))] * 8], SIZE),
    (
        "another digest",
        [header(sha256="0" * 64), chunk(GRAPH)],
        f"{WRONG} ARTIFACT_DIGEST_MISMATCH",
    ),
    ("a digest that is none", [header(sha256="../../x"), chunk(GRAPH)], f"{WRONG} DIGEST_INVALID"),
    ("size 0", [header(size_bytes=0)], f"{WRONG} ARTIFACT_SIZE_INVALID"),
    ("size -1", [header(size_bytes=-1)], f"{WRONG} ARTIFACT_SIZE_INVALID"),
    ("size 1 TiB", [header(size_bytes=2**40)], TOO_LARGE),
    ("size 2^63-1", [header(size_bytes=2**63 - 1)], TOO_LARGE),
    (
        "a chunk of 5 MiB",
        [header(size_bytes=5 * MIB), chunk(bytes(5 * MIB))],
        f"{WRONG} CHUNK_TOO_LARGE",
    ),
    ("parent ..", [header(parent="models/..")], f"{WRONG} MODEL_NAME_INVALID"),
    ("parent a path", [header(parent="models/../../etc")], f"{WRONG} RESOURCE_NAME_INVALID"),
    ("parent NUL", [header(parent="models/\0")], f"{WRONG} MODEL_NAME_INVALID"),
    (
        "parent not there",
        [header(parent="models/nope", create_model=False)],
        "NOT_FOUND MODEL_NOT_FOUND",
    ),
    ("no filename", [header(filename="")], KIND),
    ("filename .exe", [header(filename="model.exe")], KIND),
    ("filename of 1 MiB", [header(filename="a" * MIB)], KIND),
    ("alias ..", [header(alias="..")], f"{WRONG} ALIAS_NAME_INVALID"),
    ("description of 1 MiB", [header(description="d" * MIB)], f"{WRONG} DESCRIPTION_TOO_LONG"),
    ("batches of -5", [header(serving_config=NEGATIVE_BATCH)], f"{WRONG} SERVING_CONFIG_INVALID"),
    ("a graph that is none", whole(b"garbage"), f"{WRONG} MODEL_REFUSED"),
    (
        "an archive that is none",
        whole(b"garbage", filename="../../x.zip"),
        f"{WRONG} ARCHIVE_DAMAGED",
    ),
]


@pytest.mark.parametrize(
    ("sent", "expected"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS]
)
def test_push(target: Target, sent: Sequence[bytes], expected: str) -> None:
    """A push that lies is refused with the lie's reason, and no version is made."""
    assert expected == target.call("registry", PUSH, sent)
    assert not _staged(target)
    listed = pb.GetModelRequest(name="models/pushed").SerializeToString()
    assert "NOT_FOUND MODEL_NOT_FOUND" == target.call(
        "registry", "/headrace.registry.v1.RegistryService/GetModel", listed
    )


def test_a_push_that_is_given_up(target: Target) -> None:
    """A caller that goes in the middle of its push leaves nothing behind."""
    gone = threading.Event()

    def half() -> Iterator[bytes]:
        yield header(size_bytes=9 * MIB)
        yield chunk(bytes(MIB))
        gone.wait(CALL_SECONDS)

    call = target.channels["registry"].stream_unary(PUSH).future(half(), timeout=CALL_SECONDS)
    _wait_until(lambda: bool(_staged(target)))
    call.cancel()
    gone.set()
    _wait_until(lambda: not _staged(target))


def _wait_until(holds: Callable[[], bool]) -> None:
    """Look again and again: another process's files have no event to wait for."""
    deadline = time.monotonic() + CALL_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def _staged(target: Target) -> list[str]:
    """The files that lie where pushes are received."""
    while True:
        try:
            return [str(path) for path in (target.suite.data / "registry").rglob("pushed")]
        except FileNotFoundError:  # a folder went while it was looked into
            continue
