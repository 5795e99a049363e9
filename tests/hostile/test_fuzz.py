"""2,000 mutations of good requests for each parser, always the same ones: the answers are the caller's."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from tests.hostile.http import ask, document, encoded, post
from tests.hostile.messages import MIXED_RAW, field, mixed, request, tensor
from tests.hostile.target import Target

pytestmark = pytest.mark.e2e

MUTATIONS = 2000
SEED = 20_251_122
GRPC_ALLOWED = {"OK", "INVALID_ARGUMENT", "NOT_FOUND", "UNIMPLEMENTED"}
HTTP_ALLOWED = {"200", "400", "404", "501"}

GOOD_MESSAGES = [
    request(),
    mixed(),
    request("wide", [tensor(shape=[1, 2, 2])], [bytes(16)]),
    request(inputs=[tensor(extra=field(5, field(6, bytes(8))))], raw=[]),
    request(extra=field(3, "an id") + field(6, field(1, "y"))),
]
GOOD_DOCUMENTS = [
    encoded(document()),
    encoded(document(data=[[1.5, -2e3]], parameters={"a": 1})),
    encoded(document() | {"id": "an id", "outputs": [{"name": "y"}], "parameters": {"b": True}}),
]

Mutation = Callable[[random.Random, bytearray], None]


def _flip(dice: random.Random, data: bytearray) -> None:
    data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)


def _overwrite(dice: random.Random, data: bytearray) -> None:
    data[dice.randrange(len(data))] = dice.choice((0, 1, 0x7F, 0x80, 0xFF, dice.randrange(256)))


def _insert(dice: random.Random, data: bytearray) -> None:
    place = dice.randrange(len(data) + 1)
    data[place:place] = dice.randbytes(dice.randrange(1, 9))


def _remove(dice: random.Random, data: bytearray) -> None:
    place = dice.randrange(len(data))
    del data[place : place + dice.randrange(1, 9)]


def _repeat(dice: random.Random, data: bytearray) -> None:
    place = dice.randrange(len(data))
    data[place:place] = data[place : place + dice.randrange(1, 33)]


def _cut(dice: random.Random, data: bytearray) -> None:
    del data[dice.randrange(len(data)) :]


def _splice(dice: random.Random, data: bytearray) -> None:
    data += dice.choice((b"\x3a\x04abcd", b"}", b'"', b"\x0b", b"\xff" * 12, *MIXED_RAW.values()))


SWAPS = [
    (b"1", b"-1"),
    (b"2", b"18446744073709551616"),
    (b"[", b"[["),
    (b"x", b"y"),
    (b"FP32", b"INT8"),
    (b"data", b"name"),
    (b"inputs", b"outputs"),
    (b"]", b"], 1"),
]


def _swap(dice: random.Random, data: bytearray) -> None:
    data[:] = data.replace(*dice.choice(SWAPS), 1)


OPERATIONS: tuple[Mutation, ...] = (
    _flip,
    _overwrite,
    _insert,
    _remove,
    _repeat,
    _cut,
    _splice,
    _swap,
)


def mutations(originals: list[bytes]) -> Iterator[bytes]:
    """The originals with one to four things done to them; the same ones in every run."""
    dice = random.Random(SEED)
    for _ in range(MUTATIONS):
        data = bytearray(dice.choice(originals))
        for _ in range(dice.randrange(1, 5)):
            if data:
                dice.choice(OPERATIONS)(dice, data)
        yield bytes(data)


def test_messages(target: Target) -> None:
    """No mutation of a good message is answered with an error of the server's own."""
    seen = Counter(target.infer(sent) for sent in mutations(GOOD_MESSAGES))
    assert set() == {outcome.split()[0] for outcome in seen} - GRPC_ALLOWED
    assert len(seen) > 10, "the mutations reach few of the checks"


@pytest.mark.parametrize("running_target", ["native"], indirect=True)
def test_documents(target: Target) -> None:
    """No mutation of a good document is, either."""
    address = target.http_address("inference")
    seen = Counter(ask(address, post(sent)) for sent in mutations(GOOD_DOCUMENTS))
    assert set() == {outcome.split()[0] for outcome in seen} - HTTP_ALLOWED
    assert len(seen) > 8, "the mutations reach few of the checks"
