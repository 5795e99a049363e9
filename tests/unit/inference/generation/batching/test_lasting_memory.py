"""Ten thousand generations leave as much memory as a thousand did."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from headrace.machine.memory import resident_bytes
from headrace_inference.domain.generation.requests import (
    GeneratedChunk,
    GenerationRequest,
    SamplingOptions,
    StopConditions,
)
from tests.language.tiny_models import TinyModel
from tests.unit.inference.generation.batching.engines import Caller, Running, running_engine

pytestmark = pytest.mark.toolchain

GENERATIONS, FIRST = 10_000, 2_000
KV_TOKENS = 4096
AT_A_TIME = 48


def _request(random: np.random.Generator) -> GenerationRequest:
    prompt = random.integers(3, 600, random.integers(1, 120)).tolist()
    if random.random() < 0.3:
        prompt = [*range(50, 90), *prompt]
    choices = 1 if random.random() < 0.9 else 3
    stop = StopConditions(int(random.integers(1, 60)), strings=("zq",))
    return GenerationRequest(prompt, stop, SamplingOptions(seed=1), choices)


class _Watched(Caller):
    """Looks at the books while it is told, and lets the next one come when it ends."""

    def __init__(self, running: Running, places: threading.Semaphore) -> None:
        super().__init__(on_chunk=self._look)
        self._books = running.engine._rows.books
        self._places = places
        self.held = 0

    def _look(self, _: GeneratedChunk) -> None:
        self.held = max(self.held, self._books.total)

    def ended(self, usage: object) -> None:
        super().ended(usage)  # type: ignore[arg-type]  # as it is
        self._places.release()


def test_memory_stays_what_it_was(tiny_llama: TinyModel) -> None:
    """Resident memory is flat, and the KV cache is never over its budget."""
    random = np.random.default_rng(0)
    places = threading.Semaphore(AT_A_TIME)
    with running_engine(tiny_llama.folder, max_sequences=16, kv_tokens=KV_TOKENS) as running:
        most, after_first = 0, 0
        waited: list[_Watched] = []
        for number in range(GENERATIONS):
            places.acquire()
            if number == FIRST:
                after_first = resident_bytes()
            caller = _Watched(running, places)
            running.call(_request(random), caller=caller)
            waited.append(caller)
            while waited and waited[0].done.is_set():
                most = max(most, waited.pop(0).held)
        for caller in waited:
            caller.tokens()
        running.engine.stop()
        grown = resident_bytes() - after_first
        load = running.engine.load
    assert most <= KV_TOKENS
    assert (0, 0, 0) == (load.running, load.waiting, load.kv_tokens)
    assert grown < 8 * 2**20, f"{grown / 2**20:.1f} MiB more"
