"""A generative version in plain Python: it says its prompt again and again, a letter at a step."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from headrace.errors import Cancelled, DeadlineExceeded, HeadraceError, Internal
from headrace.language.triton_form import GENERATION_SIGNATURE
from headrace.state.language_records import GenerationConfig, LanguageFacts, VersionKind
from headrace.state.records import ServingConfig, VersionRecord
from headrace_inference.adapters.system_clock import SYSTEM_CLOCK
from headrace_inference.domain.generation.engine import EngineLoad
from headrace_inference.domain.generation.grammars import Grammars, GrammarState
from headrace_inference.domain.generation.model import ChatFormat
from headrace_inference.domain.generation.requests import (
    FinishReason,
    GeneratedChunk,
    GenerationCall,
    Grammar,
    TokenScore,
    Usage,
)
from headrace_inference.domain.scheduling.execution_plan import NO_PLAN
from headrace_inference.domain.scheduling.requests import Array
from headrace_inference.domain.scheduling.runner import RunFailed
from headrace_inference.domain.scheduling.scheduler import SchedulerStopped
from headrace_inference.domain.scheduling.watchdog import RunHandle, RunWatchdog
from tests.unit.inference.doubles import Handle

CONTEXT = 1000
FACTS = LanguageFacts(
    kind=VersionKind.GENERATION,
    architecture="echo",
    context_length=CONTEXT,
    vocabulary_size=256,
    tokenizer_digest="t",
)


class LetterCodec:
    """A token is a letter of Latin-1."""

    size = 256

    def encode(
        self, text: str, *, add_special_tokens: bool, parse_special: bool = False
    ) -> list[int]:
        return list(text.encode("latin-1"))

    def decode(self, tokens: Sequence[int], *, skip_special_tokens: bool) -> str:
        return bytes(tokens).decode("latin-1")

    def token_bytes(self, token: int) -> bytes:
        return bytes([token])


@dataclass
class _Running:
    call: GenerationCall
    made: int = 0


class EchoEngine:
    """Steps all its calls together, a token each; `step` lets it go on once, where it is `gated`."""

    def __init__(self, *, gated: bool = False) -> None:
        self._changed = threading.Condition()
        self._running: deque[_Running] = deque()
        self._stopped = False
        self._steps = 0 if gated else None
        self.fails: Callable[[GenerationCall, int], HeadraceError | None] = lambda *_: None
        self._thread = threading.Thread(target=self._loop, daemon=True)
        self._thread.start()

    @property
    def load(self) -> EngineLoad:
        return EngineLoad(len(self._running), 0, 0, CONTEXT)

    def submit(self, call: GenerationCall) -> None:
        with self._changed:
            if self._stopped:
                raise SchedulerStopped
            self._running.append(_Running(call))
            self._changed.notify_all()

    def made_of_first(self) -> int:
        """Count the tokens of each choice of the call that came first of those that run."""
        return self._running[0].made

    def step(self, count: int = 1) -> None:
        """Let it make so many steps."""
        with self._changed:
            assert self._steps is not None
            self._steps += count
            self._changed.notify_all()

    def wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._steps = None
            self._changed.notify_all()
        self._thread.join()

    def _loop(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(self._has_work)
                if not self._running and self._stopped:
                    return
                running = list(self._running)
                if self._steps and not any(_is_over(each) for each in running):
                    self._steps -= 1
            for each in running:
                if self._advance(each):
                    with self._changed:
                        self._running.remove(each)

    def _has_work(self) -> bool:
        if any(_is_over(each) for each in self._running):
            return True
        may_step = self._steps is None or self._steps > 0
        ready = any(not each.call.sink.is_full for each in self._running)
        return (ready and may_step) or (self._stopped and not self._running)

    def _advance(self, running: _Running) -> bool:
        """Make a token of each choice; True where the call has ended."""
        call = running.call
        request, sink = call.request, call.sink
        usage = Usage(len(request.prompt), running.made * request.choices)
        if call.cancelled:
            sink.failed(Cancelled("CANCELLED", "gone"), usage)
            return True
        if call.deadline_ns is not None and SYSTEM_CLOCK.monotonic_ns() > call.deadline_ns:
            sink.failed(DeadlineExceeded("DEADLINE_EXCEEDED", "late"), usage)
            return True
        if sink.is_full:
            return False
        call.started_ns = call.started_ns or SYSTEM_CLOCK.monotonic_ns()
        error = self.fails(call, running.made)
        if error is not None:
            sink.failed(error, usage)
            return True
        if request.prompt_logprobs is not None and not running.made:
            sink.prompt_scored(
                [TokenScore(token, -1.0) for token in request.prompt[request.scored_from :]]
            )
        token = request.prompt[running.made % len(request.prompt)]
        running.made += 1
        finish = FinishReason.LENGTH if running.made >= request.stop.max_tokens else None
        scores = () if request.logprobs is None else (TokenScore(token, -0.5, ((token, -0.5),)),)
        sink.deliver(
            [
                GeneratedChunk(choice, bytes([token]).decode("latin-1"), (token,), scores, finish)
                for choice in range(request.choices)
            ]
        )
        if finish is not None:
            sink.ended(Usage(len(request.prompt), running.made * request.choices))
        return finish is not None


def _is_over(running: _Running) -> bool:
    call = running.call
    late = call.deadline_ns is not None and SYSTEM_CLOCK.monotonic_ns() > call.deadline_ns
    return call.cancelled or late


class FreeGrammars:
    """Takes all grammars and holds nothing to them."""

    def check(self, grammar: Grammar) -> None:
        pass

    def begin(self, grammar: Grammar) -> GrammarState:
        raise NotImplementedError

    def look_ahead(self, states: Sequence[GrammarState]) -> None:
        pass


@dataclass(eq=False)
class EchoModel:
    """What wires need of it."""

    engine: EchoEngine
    facts: LanguageFacts = FACTS
    config: GenerationConfig = GenerationConfig()
    codec: LetterCodec = field(default_factory=LetterCodec)
    chat: ChatFormat | None = None
    end_tokens: frozenset[int] = frozenset()
    grammars: Grammars = field(default_factory=FreeGrammars)


class EchoRunner:
    """The open model."""

    plan = NO_PLAN
    provider = "python"
    memory_bytes = 0
    graph = "pushed"
    remark = ""

    def __init__(self, *, gated: bool = False) -> None:
        self.labels: Mapping[str, Sequence[bytes]] = {}
        self.batching_obstacle = ""
        self.engine = EchoEngine(gated=gated)
        self.generative = EchoModel(self.engine)
        self.broken = ""
        self.closed = threading.Event()

    def start(self, watchdog: RunWatchdog, broken: Callable[[str], None]) -> EchoModel:
        return self.generative

    def new_handle(self) -> Handle:
        return Handle()

    def run(self, inputs: Sequence[Array], handle: RunHandle | None = None) -> list[Array]:
        raise RunFailed("it generates")

    def run_alone(self, inputs: Sequence[Array], handle: RunHandle | None = None) -> list[Array]:
        raise RunFailed("it generates")

    def rest(self) -> None:
        """Nothing to give back."""

    def probe(self) -> str:
        return self.broken

    def close(self) -> None:
        self.closed.set()


def generative_version(number: int = 1, model: str = "m") -> VersionRecord:
    """A version that generates."""
    return VersionRecord(
        model,
        number,
        f"d{number}",
        (),
        "model.onnx",
        GENERATION_SIGNATURE,
        ServingConfig(),
        0.0,
        language=FACTS,
    )


def failing_after(tokens: int) -> Callable[[GenerationCall, int], HeadraceError | None]:
    """Fail every call after so many tokens of a choice."""

    def fails(call: GenerationCall, made: int) -> HeadraceError | None:
        return Internal("RUN_FAILED", "unlucky") if made == tokens else None

    return fails


async def until(holds: Callable[[], bool]) -> None:
    """Wait until this holds."""
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110  # threads tell nobody
            await asyncio.sleep(0.001)
