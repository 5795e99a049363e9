"""Calls of text through the ingress: their versions, their streams, and how each is counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from headrace.errors import HeadraceError, InvalidArgument, ResourceExhausted, Unavailable
from headrace.state.catalog import Catalog
from headrace.state.records import ModelRecord, VersionRecord
from headrace.state.route_records import Canary, RouteRecord, Shadow
from headrace_inference.adapters.system_clock import SYSTEM_CLOCK
from headrace_inference.app.ending_text import ending_text
from headrace_inference.domain.generation.requests import (
    GenerationCall,
    GenerationRequest,
    StopConditions,
)
from headrace_inference.domain.ingress.generation_stream import (
    MAX_UNREAD_TOKENS,
    GenerationStream,
    PromptScores,
)
from headrace_inference.domain.ingress.ingress import Ingress
from headrace_inference.domain.ingress.language_calls import CallFacts, LanguageCalls
from headrace_inference.domain.reconciliation.reconciler import VersionReconciler
from headrace_inference.domain.reconciliation.residency import Caps
from headrace_inference.domain.versions.statistics import StatisticsRegistry
from tests.unit.inference.doubles import DoublingRunner, version
from tests.unit.inference.text_doubles import FACTS as TEXT_FACTS
from tests.unit.inference.text_doubles import EchoRunner, failing_after, generative_version, until


class Loader:
    """Opens an echo for every generative version, a doubling runner for others."""

    def __init__(self) -> None:
        self.echoes: dict[int, EchoRunner] = {}
        self.gated = False

    async def load(self, record: VersionRecord) -> EchoRunner | DoublingRunner:
        if record.language is None:
            return DoublingRunner()
        runner = self.echoes[record.number] = EchoRunner(gated=self.gated)
        return runner


class Site:
    """A replica's ingress, and the way in for text."""

    def __init__(self, reconciler: VersionReconciler, book: StatisticsRegistry, loader: Loader):
        self.reconciler, self.book, self.loader = reconciler, book, loader
        self.ingress = Ingress(reconciler, book)
        self.calls = LanguageCalls(self.ingress)

    async def follow(self, catalog: Catalog, *ready: int) -> None:
        self.reconciler.want(catalog)
        async with asyncio.timeout(10):
            while {key[1] for key in self.reconciler.table.ready} != set(ready):
                await self.reconciler.next_publication.wait()

    def counted(self, number: int = 1) -> tuple[int, dict[str, int], dict[str, int]]:
        """Successes by route, and errors, of a version."""
        totals = self.book.of("m", number).totals()
        return totals.successes, dict(totals.routes), dict(totals.errors)

    async def until_idle(self, number: int = 1) -> None:
        engine = self.loader.echoes[number].engine
        await until(lambda: not engine.load.running)


@asynccontextmanager
async def site(*, gated: bool = False, caps: Caps | None = None) -> AsyncIterator[Site]:
    book, loader = StatisticsRegistry(), Loader()
    loader.gated = gated
    reconciler = VersionReconciler(loader, book, SYSTEM_CLOCK, 2, caps=caps)
    async with reconciler.running():
        yield Site(reconciler, book, loader)


def catalog(*numbers: int, stable: int, canary: Canary | None = None) -> Catalog:
    route = RouteRecord(stable, canary)
    model = ModelRecord("m", 0.0, route=route, keep_latest=1)
    return Catalog(
        7, {"m": model}, {("m", number): generative_version(number) for number in numbers}
    )


FACTS = CallFacts(model_name="m", wire="test")


def asking(prompt: str = "abc", tokens: int = 6, **options: object) -> GenerationRequest:
    return replace(
        GenerationRequest(list(prompt.encode()), StopConditions(tokens)),
        **options,  # type: ignore[arg-type]  # as the test says
    )


async def text_of(stream: GenerationStream) -> str:
    return "".join(
        [
            chunk.text
            async for piece in stream
            if not isinstance(piece, PromptScores)
            for chunk in piece
        ]
    )


async def test_a_call_is_answered_and_counted_once() -> None:
    """It counts by its route, with its tokens and times; several generations of one call are one."""
    async with site() as here:
        await here.follow(catalog(1, stable=1), 1)
        async with here.calls.open(FACTS) as call:
            first, second = call.generate(asking()), call.generate(asking("xy", 3))
            assert ["abcabc", "xyx"] == [await text_of(first), await text_of(second)]
            assert 6 == first.usage.completion_tokens
        assert (1, {"stable": 1}, {}) == here.counted()
        counts = here.book.of("m", 1).generation.totals()["stable"]
        totals = here.book.of("m", 1).totals()
    assert (2, 5, 9, {"length": 2}) == (
        counts.calls,
        counts.prompt_tokens,
        counts.completion_tokens,
        dict(counts.finished),
    )
    assert (2, 7) == (counts.first_token.count, counts.between_tokens.count)
    assert (2, 1) == (totals.executions, totals.queue.count)


async def test_a_call_that_runs_nothing_counts_too() -> None:
    """As one that asks for the tokens of a text: it was answered, in no run."""
    async with site() as here:
        await here.follow(catalog(1, stable=1), 1)
        async with here.calls.open(FACTS) as call:
            call.generative.codec.encode("abc", add_special_tokens=True)
        assert (1, {"stable": 1}, {}) == here.counted()
        assert 0 == here.book.of("m", 1).totals().executions


async def test_scores_of_a_prompt_come_first() -> None:
    """They are a piece of their own."""
    async with site() as here:
        await here.follow(catalog(1, stable=1), 1)
        async with here.calls.open(FACTS) as call:
            pieces = [piece async for piece in call.generate(asking(prompt_logprobs=0))]
    assert isinstance(pieces[0], PromptScores)
    assert [98, 99] == [score.token for score in pieces[0].scores]


async def test_a_stream_that_fails_half_way_counts_as_its_error() -> None:
    """What came before reaches its reader; that the wire tells the error in its own way changes nothing."""
    async with site() as here:
        await here.follow(catalog(1, stable=1), 1)
        here.loader.echoes[1].engine.fails = failing_after(4)
        heard = ""
        async with here.calls.open(FACTS) as call:
            try:
                async for piece in call.generate(asking(tokens=10)):
                    assert not isinstance(piece, PromptScores)
                    heard += "".join(chunk.text for chunk in piece)
            except HeadraceError as error:
                heard += f" {error.reason}"
        assert "abca RUN_FAILED" == heard
        assert (0, {}, {"RUN_FAILED": 1}) == here.counted()


async def test_a_caller_that_goes_is_counted_and_frees_its_place() -> None:
    """Whether its task is cancelled, or what serves it is closed."""
    async with site(gated=True) as here:
        await here.follow(catalog(1, stable=1), 1)
        engine = here.loader.echoes[1].engine

        async def reading() -> AsyncIterator[object]:
            async with here.calls.open(FACTS) as call:
                async for piece in call.generate(asking(tokens=100)):
                    yield piece

        closed = reading()
        engine.step()
        await anext(closed)
        await closed.aclose()  # type: ignore[attr-defined]  # it is a generator
        await here.until_idle()
        cancelled = asyncio.ensure_future(anext(reading()))
        await until(lambda: engine.load.running > 0)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        await here.until_idle()
        assert (0, {}, {"CANCELLED": 2}) == here.counted()
        assert 0 == here.reconciler.table.ready["m", 1].in_flight
        assert {"abort": 2} == dict(here.book.of("m", 1).generation.totals()["stable"].finished)


async def test_a_slow_reader_pauses_its_sequences_and_loses_its_place() -> None:
    """So many tokens wait for it; who reads on in time gets all of them."""
    async with site() as here:
        await here.follow(catalog(1, stable=1), 1)
        async with here.calls.open(FACTS) as call:
            stream = call.generate(asking(tokens=900))
            await until(lambda: stream.is_full)
            assert len(await text_of(stream)) == 900
        stream = GenerationStream(here.calls._outbox, lambda _: None, reader_seconds=0.0)
        version = here.reconciler.table.ready["m", 1]
        stream.call = generation_call(stream)
        stream.wake = here.loader.echoes[1].engine.wake
        version.generate(stream.call)
        await until(lambda: stream.has_ended)
        with pytest.raises(ResourceExhausted) as refused:
            await text_of(stream)
        await here.until_idle()
    assert "READER_TOO_SLOW" == refused.value.reason
    assert str(MAX_UNREAD_TOKENS) in refused.value.message


def generation_call(stream: GenerationStream) -> GenerationCall:
    return GenerationCall(asking(tokens=900), stream, "stable", SYSTEM_CLOCK.monotonic_ns())


async def test_a_generation_stays_on_its_version_to_its_end() -> None:
    """New calls go to the next version at once, while the former is drained and then closed."""
    async with site(gated=True) as here:
        await here.follow(catalog(1, stable=1), 1)
        former = here.loader.echoes[1]
        async with here.calls.open(FACTS) as call:
            stream = call.generate(asking())
            await here.follow(catalog(2, stable=2), 2)
            here.loader.echoes[2].engine.step(3)
            async with here.calls.open(FACTS) as another:
                assert (2, "abc") == (
                    another.version.record.number,
                    await text_of(another.generate(asking(tokens=3))),
                )
            assert not former.closed.is_set()
            former.engine.step(6)
            assert (1, "abcabc") == (call.version.record.number, await text_of(stream))
        assert await asyncio.to_thread(former.closed.wait, 10)
        assert [(1, {"stable": 1}, {})] * 2 == [here.counted(1), here.counted(2)]


async def test_a_shadow_generates_the_same_and_nobody_waits() -> None:
    """It counts for the shadow alone; one with another tokenizer would read another text, and gets none."""
    route = RouteRecord(1, shadow=Shadow(2, 100.0))
    wanted = catalog(1, 2, stable=1)
    wanted = replace(wanted, models={"m": replace(wanted.models["m"], route=route)})
    async with site() as here:
        await here.follow(wanted, 1, 2)
        for tokens in (2, 3):
            async with here.calls.open(FACTS) as call:
                await text_of(call.generate(asking(tokens=tokens)))
        await until(lambda: here.counted(2)[0] == 2)
        assert (2, {"stable": 2}, {}) == here.counted(1)
        assert (2, {"shadow": 2}, {}) == here.counted(2)
        assert 5 == here.book.of("m", 2).generation.totals()["shadow"].completion_tokens
        here.loader.echoes[2].generative.facts = replace(TEXT_FACTS, tokenizer_digest="other")
        async with here.calls.open(FACTS) as call:
            await text_of(call.generate(asking()))
        assert {"SHADOW_DROPPED": 1} == here.counted(2)[2]


def _refuse() -> None:
    raise InvalidArgument("PARAMETER_INVALID", "as a wire does")


async def test_a_version_on_standby_is_loaded_for_a_call() -> None:
    """In the place of one that nobody uses; while something is generated by that, the call waits."""
    async with site(gated=True, caps=Caps(max_versions=1)) as here, asyncio.timeout(20):
        here.reconciler.want(catalog(1, 2, stable=1))
        await until(lambda: len(here.reconciler.table.ready) == 1)
        (loaded,) = (number for _, number in here.reconciler.table.ready)
        asked = replace(FACTS, model_version=str(3 - loaded))
        async with here.calls.open(replace(FACTS, model_version=str(loaded))) as call:
            stream = call.generate(asking(tokens=2))
            waiting = asyncio.create_task(_answered_by(here, asked))
            await until(lambda: here.reconciler.standby.waits.count(("m", 3 - loaded)) == 1)
            here.loader.echoes[loaded].engine.step(2)
            assert "ab" == await text_of(stream)
        await until(lambda: 3 - loaded in here.loader.echoes)
        here.loader.echoes[3 - loaded].engine.step(2)
        assert 3 - loaded == await waiting


async def _answered_by(here: Site, facts: CallFacts) -> int:
    """The version that answers a call."""
    async with here.calls.open(facts) as call:
        await text_of(call.generate(asking(tokens=2)))
        return call.version.record.number


async def test_canaries_have_their_share() -> None:
    """As of requests in tensors; a call that is refused for what it is takes no turn."""
    async with site() as here:
        await here.follow(catalog(1, 2, stable=1, canary=Canary(2, 50.0)), 1, 2)
        routes = []
        for refused in (False, True, False, True, False, False):
            try:
                async with here.calls.open(FACTS) as call:
                    if refused:
                        _refuse()
                    await text_of(call.generate(asking()))
                    routes.append(call.route)
            except InvalidArgument:
                continue
    assert ["stable", "canary", "stable", "canary"] == routes


async def test_a_version_of_another_kind_says_what_to_ask_it_for() -> None:
    """It counts on that version."""
    async with site() as here:
        wanted = catalog(1, stable=1)
        await here.follow(replace(wanted, versions={("m", 1): version()}), 1)
        with pytest.raises(InvalidArgument) as refused:
            async with here.calls.open(FACTS) as call:
                call.generate(asking())
        assert (0, {}, {"VERSION_KIND": 1}) == here.counted()
    assert "VERSION_KIND" == refused.value.reason
    assert "/v2/models/NAME/infer" in refused.value.message


async def test_a_deadline_ends_a_generation() -> None:
    """The engine sees it, and it is what the call counts as."""
    async with site(gated=True) as here:
        await here.follow(catalog(1, stable=1), 1)
        late = replace(FACTS, deadline_ns=SYSTEM_CLOCK.monotonic_ns())
        with pytest.raises(HeadraceError) as refused:
            async with here.calls.open(late) as call:
                await text_of(call.generate(asking()))
        assert ("DEADLINE_EXCEEDED", {"DEADLINE_EXCEEDED": 1}) == (
            refused.value.reason,
            here.counted()[2],
        )


async def test_the_replicas_end_ends_what_is_still_generated() -> None:
    """Its reader is told why, and its place is free; so it counts."""
    async with site(gated=True) as here, asyncio.timeout(20):
        await here.follow(catalog(1, stable=1), 1)
        closing = asyncio.Event()

        async def cut_off() -> None:
            async with here.calls.open(FACTS) as call:
                stream = call.generate(asking())
                closing.set()
                await text_of(stream)

        async with ending_text(here.ingress, closing, drain_seconds=0.0):
            with pytest.raises(Unavailable) as told:
                await cut_off()
        await here.until_idle()
        assert (0, {}, {"REPLICA_STOPPING": 1}) == here.counted()
    assert "REPLICA_STOPPING" == told.value.reason


async def test_all_of_a_step_comes_to_the_loop_in_one_trip(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thirty-two sequences take no more trips than steps, give or take one that the loop was quick for."""
    async with site(gated=True) as here:
        await here.follow(catalog(1, stable=1), 1)
        loop, trips = asyncio.get_running_loop(), 0
        call_soon = loop.call_soon_threadsafe

        def counting(*args: object, **options: object) -> object:
            nonlocal trips
            trips += 1
            return call_soon(*args, **options)  # type: ignore[arg-type]  # as they came

        async with here.calls.open(FACTS) as call:
            streams = [call.generate(asking(tokens=2)) for _ in range(32)]
            monkeypatch.setattr(loop, "call_soon_threadsafe", counting, raising=False)
            engine = here.loader.echoes[1].engine
            engine.step(2)
            while engine.load.running:  # the loop does not turn meanwhile
                pass
            made = trips
            monkeypatch.undo()
            assert ["ab"] * 32 == [await text_of(stream) for stream in streams]
    assert 1 == made
