"""The next step of an engine follows from what runs, what waits and what room there is."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from headrace_inference.domain.generation.batching.step_policy import (
    Chunk,
    Room,
    Running,
    Step,
    Waiting,
    chunk_of,
    plan_step,
)


def _decoding(key: int, length: int = 10, held: int = 16, **more: int | bool) -> Running:
    fields = {"level": 0, "arrived": key, "length": length, "prompt": 8, "held": held} | more
    return Running(key=key, **fields)  # type: ignore[arg-type]  # as they are named


def _reading(key: int, length: int, prompt: int, held: int = 32) -> Running:
    return Running(key, 0, key, length, prompt, held)


def _waiting(key: int, tokens: int, unread: int | None = None) -> Waiting:
    return Waiting(key, tokens, tokens if unread is None else unread)


ROOM = Room(rows=4, kv_tokens=64, granule=16, prefill_tokens=24)

ROWS: Sequence[tuple[str, Sequence[Running], Sequence[Waiting], Room, Step]] = [
    ("nothing", [], [], ROOM, Step()),
    (
        "a lone prompt comes in, and is read",
        [],
        [_waiting(1, 20)],
        ROOM,
        Step(admit=(1,), chunks=(Chunk(1, 20),)),
    ),
    (
        "a long prompt is read in chunks",
        [],
        [_waiting(1, 40)],
        ROOM,
        Step(admit=(1,), chunks=(Chunk(1, 24),)),
    ),
    (
        "it is read on before others come in",
        [_reading(1, 24, 40, held=48)],
        [_waiting(2, 8)],
        Room(4, 64, 16, 16),
        Step(chunks=(Chunk(1, 16),)),
    ),
    (
        "what is left of the budget goes to the next",
        [_reading(1, 24, 30, held=32)],
        [_waiting(2, 8)],
        ROOM,
        Step(admit=(2,), chunks=(Chunk(1, 6), Chunk(2, 8))),
    ),
    (
        "all that decode do so together, whatever is read",
        [_decoding(1), _decoding(2)],
        [],
        ROOM,
        Step(decode=(1, 2)),
    ),
    (
        "nobody comes in where rows are used",
        [_decoding(key, held=12) for key in range(4)],
        [_waiting(9, 4)],
        Room(4, 64, 4, 24),
        Step(decode=(0, 1, 2, 3)),
    ),
    (
        "nor where memory is",
        [_decoding(1), _decoding(2)],
        [_waiting(9, 15)],
        Room(4, 63, 16, 24),
        Step(decode=(1, 2)),
    ),
    (
        "nor where those that decode would soon be put off for it",
        [_decoding(1), _decoding(2)],
        [_waiting(9, 15)],
        Room(4, 79, 16, 24),
        Step(decode=(1, 2)),
    ),
    (
        "nobody overtakes a prompt that does not fit",
        [_decoding(1)],
        [_waiting(8, 47), _waiting(9, 2)],
        ROOM,
        Step(decode=(1,)),
    ),
    (
        "whom nobody waits for leaves",
        [_decoding(1, is_over=True), _decoding(2)],
        [],
        ROOM,
        Step(leave=(1,), decode=(2,)),
    ),
    (
        "and what it had is there for others",
        [_decoding(1, held=64, is_over=True)],
        [_waiting(2, 20)],
        ROOM,
        Step(leave=(1,), admit=(2,), chunks=(Chunk(2, 20),)),
    ),
    (
        "who reads too slowly waits",
        [_decoding(1, is_paused=True), _decoding(2)],
        [],
        ROOM,
        Step(decode=(2,)),
    ),
    (
        "the newest is put off for those that need memory",
        [_decoding(1, length=16), _decoding(2, length=16), _decoding(3, length=16)],
        [],
        Room(4, 64, 16, 24),
        Step(put_off=(3,), decode=(1, 2)),
    ),
    (
        "those of lower levels before",
        [_decoding(1, length=16, level=1), _decoding(2, length=16), _decoding(3, length=16)],
        [],
        Room(4, 64, 16, 24),
        Step(put_off=(1,), decode=(2, 3)),
    ),
    (
        "and of one level those that are paused",
        [_decoding(1, length=16, is_paused=True), _decoding(2, length=16), _decoding(3)],
        [],
        Room(4, 48, 16, 24),
        Step(put_off=(1,), decode=(2, 3)),
    ),
    (
        "the only one is not put off",
        [_decoding(1, length=16)],
        [],
        Room(4, 16, 16, 24),
        Step(decode=(1,)),
    ),
    (
        "nobody comes in while somebody is put off",
        [_decoding(1, length=32, held=32), _decoding(2, length=16)],
        [_waiting(9, 4)],
        Room(4, 60, 16, 24),
        Step(put_off=(2,), decode=(1,)),
    ),
    (
        "a choice whose prompt was read needs no budget",
        [_reading(1, 0, 24, held=32)],
        [_waiting(2, 20, unread=0)],
        ROOM,
        Step(admit=(2,), chunks=(Chunk(1, 24),)),
    ),
]


@pytest.mark.parametrize(
    ("running", "waiting", "room", "expected"),
    [row[1:] for row in ROWS],
    ids=[row[0] for row in ROWS],
)
def test_the_next_step(
    running: Sequence[Running], waiting: Sequence[Waiting], room: Room, expected: Step
) -> None:
    """Each row is a situation and the step that follows."""
    assert expected == plan_step(running, waiting, room)


@pytest.mark.parametrize(
    ("left", "budget", "expected"),
    [
        (0, 24, 0),
        (1, 24, 1),  # a prompt of one token
        (24, 24, 24),
        (25, 24, 23),  # else one token would be left
        (26, 24, 24),
        (3, 2, 3),  # one more than the budget, rather than one alone
        (2, 2, 2),
        (5, 2, 2),
        (5, 1, 0),
        (5, 0, 0),
    ],
)
def test_no_chunk_leaves_a_single_token(left: int, budget: int, expected: int) -> None:
    """A token alone is computed by other kernels than among others."""
    assert expected == chunk_of(left, budget)


@pytest.mark.parametrize("budget", range(2, 9))
def test_every_prompt_is_read_to_its_end(budget: int) -> None:
    """Chunk after chunk, none of one token, none over the budget by more than one."""
    for prompt in range(2, 60):
        left, chunks = prompt, []
        while left:
            chunks.append(chunk_of(left, budget))
            left -= chunks[-1]
        assert all(2 <= chunk <= budget + 1 for chunk in chunks)
