"""Decides the next step of an engine: who leaves, who is put off, who comes in, who reads, who decodes.

Pure: from a snapshot of sequences to one step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LEAST_CHUNK = 2
"""A chunk of one token runs through other kernels, whose last bits differ: a prompt is never cut so."""

LEAST_LEFT = 8
"""All weights are read for a piece of a prompt, however short: less of a budget is left for nobody."""


@dataclass(frozen=True, slots=True)
class Running:
    """A sequence with a row. Level 0 goes first; of one level those that came first."""

    key: int
    level: int
    arrived: int
    length: int
    """Tokens whose keys and values are there."""
    prompt: int
    """Tokens that are read in chunks; from there on it decodes."""
    held: int
    """Tokens that its row has memory for."""
    is_over: bool = False
    """Whether nobody waits for it any more."""
    is_paused: bool = False
    """Whether its caller reads too slowly."""

    @property
    def decodes(self) -> bool:
        """Return whether its prompt was read."""
        return self.length >= self.prompt


@dataclass(frozen=True, slots=True)
class Waiting:
    """A sequence that has no row yet, in the order of the queue."""

    key: int
    tokens: int
    """What it has memory for, and for one more, when it comes in: its prompt, and what it had generated."""
    unread: int
    """Tokens of its prompt to be read: none where another choice of its call has read them."""


@dataclass(frozen=True, slots=True)
class Room:
    """The bounds of a step. `kv_tokens` are all that may be held; what no sequence holds can be had."""

    rows: int
    kv_tokens: int
    granule: int
    prefill_tokens: int
    """How many tokens of prompts are read in this step, at most."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """So many tokens of a sequence's prompt."""

    key: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Step:
    """The next actions, in this order. Keys of sequences."""

    leave: tuple[int, ...] = ()
    put_off: tuple[int, ...] = ()
    """They lose their memory and wait again, before all others."""
    admit: tuple[int, ...] = ()
    """They get a row with memory for their tokens and one more."""
    chunks: tuple[Chunk, ...] = ()
    decode: tuple[int, ...] = ()
    """They get their next token, before prompts are read."""

    @property
    def is_empty(self) -> bool:
        """Return whether there is nothing to do."""
        return not (self.leave or self.put_off or self.admit or self.chunks or self.decode)


def plan_step(running: Sequence[Running], waiting: Sequence[Waiting], room: Room) -> Step:
    """Return the next step. Memory is never promised twice: what is not there is not used.

    Decoding goes on first. Where its memory runs out, sequences are put off: the lowest level first, of
    one level those that are paused, then the newest; never the only one. What is left goes to prompts, in
    the order in which they came; nobody overtakes a prompt that does not fit.
    """
    stay = [one for one in running if not one.is_over]
    leave = tuple([one.key for one in running if one.is_over])
    stay, put_off = _put_off(stay, room)
    free = room.kv_tokens - sum([one.held for one in stay])
    decode = [one for one in stay if one.decodes and not one.is_paused]
    free -= sum([_need(one, room.granule) for one in decode])
    reading = sorted([one for one in stay if not one.decodes], key=_rank)
    chunks, budget = _chunks_of([(one.key, one.prompt - one.length) for one in reading], room)
    admitted: list[Waiting] = []
    if not put_off:
        # A granule for each that decodes: else whoever is let in is soon put off.
        spare = free - room.granule * len(decode) if stay else free
        admitted = _admitted(waiting, room, room.rows - len(stay), spare, budget)
        unread = [(one.key, one.unread) for one in admitted if one.unread]
        chunks += _chunks_of(unread, room, budget)[0]
    return Step(
        leave,
        tuple([one.key for one in put_off]),
        tuple([one.key for one in admitted]),
        tuple(chunks),
        tuple([one.key for one in decode]),
    )


def chunk_of(left: int, budget: int) -> int:
    """Return how many of the tokens that are left of a prompt are read next; 0: none in this step."""
    if left <= budget:
        return left
    tokens = budget - 1 if left - budget == 1 else budget
    if tokens >= LEAST_CHUNK:
        return tokens
    return left if LEAST_CHUNK <= left <= budget + 1 and budget >= LEAST_CHUNK else 0


def _rank(one: Running) -> tuple[int, int]:
    return one.level, one.arrived


def _need(one: Running, granule: int) -> int:
    """Return how much more memory a sequence needs for its next token."""
    return granule if one.length + 1 > one.held else 0


def _put_off(stay: list[Running], room: Room) -> tuple[list[Running], list[Running]]:
    """Return those that go on, and those that make room for them."""
    put_off: list[Running] = []
    victims = sorted(stay, key=lambda one: (one.level, one.is_paused, one.arrived))
    while len(victims) > 1 and _wanted(victims, room.granule) > room.kv_tokens:
        put_off.append(victims.pop())
    return [one for one in stay if one not in put_off] if put_off else stay, put_off


def _wanted(stay: Sequence[Running], granule: int) -> int:
    held = sum([one.held for one in stay])
    return held + sum([_need(one, granule) for one in stay if one.decodes and not one.is_paused])


def _admitted(
    waiting: Sequence[Waiting], room: Room, rows: int, free: int, budget: int
) -> list[Waiting]:
    """Return those that come in: a row, memory for the prompt, and a beginning in this step."""
    admitted: list[Waiting] = []
    for one in waiting:
        memory = -(-(one.tokens + 1) // room.granule) * room.granule
        enough = budget >= min(LEAST_LEFT, room.prefill_tokens)
        chunk = chunk_of(one.unread, budget) if enough else 0
        if len(admitted) >= rows or memory > free or (one.unread and not chunk):
            break
        admitted.append(one)
        free -= memory
        budget -= chunk
    return admitted


def _chunks_of(
    left: Sequence[tuple[int, int]], room: Room, budget: int | None = None
) -> tuple[list[Chunk], int]:
    """Return what is read of prompts of which so much is left, and what that leaves of the budget."""
    budget = room.prefill_tokens if budget is None else budget
    chunks = []
    for key, tokens in left:
        chunk = chunk_of(tokens, budget)
        if not chunk or (budget < LEAST_LEFT and budget < room.prefill_tokens):
            break
        chunks.append(Chunk(key, chunk))
        budget -= chunk
    return chunks, budget
