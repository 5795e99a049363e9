"""Sequences find their own keys and values in their rows, however rows are moved, kept and taken."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace_inference.adapters.generation.kv_arena import KvArena, granule_tokens
from headrace_inference.domain.generation.batching.decoder import DecoderFacts
from headrace_inference.domain.generation.batching.kv_rows import KvRows
from headrace_inference.domain.generation.batching.sequences import CallProgress, SequenceState
from headrace_inference.domain.generation.requests import (
    GenerationCall,
    GenerationRequest,
    StopConditions,
)
from headrace_inference.domain.generation.tokens.choice_writer import ChoiceWriter, WriterTools
from headrace_inference.domain.generation.tokens.text_stream import TextStream
from tests.unit.inference.generation.batching.engines import Caller, TinyCodec

SIZE, ROWS, RUNNING = 256, 9, 4
GRANULE = granule_tokens(SIZE, 4)


class ArenaDecoder:
    """The rows of a decoder without its graph: the keys of a token are its number."""

    def __init__(self) -> None:
        self.arena = KvArena(2, ROWS, 1, SIZE, np.dtype(np.float32), 4096)
        self.facts = DecoderFacts(600, 4096, 2 * SIZE * 4, GRANULE)
        self.rows = ROWS
        self.grow, self.copy, self.move = self.arena.grow, self.arena.copy, self.arena.move
        self.free, self.rest = self.arena.free, self.arena.release

    @property
    def row_tokens(self) -> int:
        """As the arena has."""
        return self.arena.tokens

    def write(self, row: int, start: int, tokens: Sequence[int]) -> None:
        """Keep tokens, as a run does."""
        for tensor in self.arena.tensors:
            tensor[row, 0, start : start + len(tokens)] = np.array(tokens)[:, None]

    def read(self, row: int, count: int) -> list[int]:
        """Return what is kept, which all tensors agree on."""
        first, second = (tensor[row, 0, :count] for tensor in self.arena.tensors)
        assert (first == second).all()
        found: list[int] = first[:, 0].astype(int).tolist()
        return found


class _Scene:
    """Rows, and sequences that come, grow and go."""

    def __init__(self, budget_tokens: int) -> None:
        self.decoder = ArenaDecoder()
        self.rows = KvRows(self.decoder, budget_tokens)  # type: ignore[arg-type]  # its rows alone
        self.running: list[SequenceState] = []

    def enter(self, prompt: Sequence[int]) -> None:
        """Let a sequence in and read its prompt, if it fits beside the others."""
        books = self.rows.books
        held = sum(self.rows.held_by(one) for one in self.running)
        fits = held + books.rounded(len(prompt) + 1) <= books.capacity
        if len(self.running) == RUNNING or not fits:
            return
        request = GenerationRequest(prompt, StopConditions(100))
        call = GenerationCall(request, Caller(), "", 0)
        tools = WriterTools(frozenset(), lambda each: TextStream(TinyCodec(), each.stop))
        progress = CallProgress(call, 0, 0)
        one = SequenceState(progress, 0, ChoiceWriter(request, 0, tools, 4096))
        self.rows.enter(one)
        self.running.append(one)
        self.decoder.write(one.row, one.length, one.tokens[one.length :])
        one.length = len(one.tokens)

    def step(self, choice: int) -> None:
        """Let some decode a token each, in the first rows."""
        books = self.rows.books
        some = [one for place, one in enumerate(self.running) if choice >> place & 1]
        need = sum(books.need(one.row, one.length + 1) for one in some)
        held = sum(self.rows.held_by(one) for one in self.running)
        if held + need > books.capacity:
            return
        for one in some:
            self.rows.hold(one, one.length + 1)
        ordered = self.rows.arrange(some)
        assert [one.row for one in ordered] == list(range(len(some)))
        for one in ordered:
            one.tokens.append(len(one.tokens) % 500)
            self.decoder.write(one.row, one.length, one.tokens[-1:])
            one.length += 1

    def leave(self, place: int, *, put_off: bool) -> None:
        """Let one go."""
        if place < len(self.running):
            one = self.running.pop(place)
            (self.rows.put_off if put_off else self.rows.leave)(one)

    def check(self) -> None:
        """All is where it should be, and no more is held than the budget."""
        books = self.rows.books
        assert sum(books.held) == books.total <= books.capacity
        for one in self.running:
            assert self.rows.owners[one.row] is one
            assert self.decoder.read(one.row, one.length) == one.tokens[: one.length]
            assert one.length <= books.held[one.row]
        for row, tokens in self.rows.prefixes.rows:
            assert self.rows.owners[row] is None
            assert self.decoder.read(row, len(tokens)) == tokens.tolist()
            assert len(tokens) <= books.held[row]


_ENTER = st.tuples(st.just("enter"), st.integers(0, 3), st.integers(1, 40))
_STEP = st.tuples(st.just("step"), st.integers(1, 15), st.integers(1, 9))
_LEAVE = st.tuples(st.sampled_from(["leave", "put off"]), st.integers(0, 3), st.just(0))


@settings(max_examples=60, deadline=None)
@given(
    budget=st.integers(64, 400),
    steps=st.lists(st.one_of(_ENTER, _STEP, _STEP, _LEAVE), min_size=5, max_size=40),
)
def test_rows_hold_what_their_sequences_have(
    budget: int, steps: list[tuple[str, int, int]]
) -> None:
    """Prompts of four families share beginnings; the budget is short of what they want."""
    scene = _Scene(budget)
    for kind, number, count in steps:
        if kind == "enter":
            scene.enter([number * 100 + place % 90 for place in range(count)])
        elif kind == "step":
            for _ in range(count):
                scene.step(number)
        else:
            scene.leave(number, put_off=kind == "put off")
        scene.check()
