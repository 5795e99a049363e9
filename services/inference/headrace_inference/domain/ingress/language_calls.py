"""The one way in for wires of text: finds the version for a call, and keeps it until the call is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from headrace.errors import HeadraceError, InvalidArgument
from headrace.security.credentials import PeerCertificate
from headrace.state.language_records import VersionKind
from headrace_inference.domain.encoding.requests import (
    EncoderModel,
    EncodingCall,
    EncodingRequest,
    Vectors,
)
from headrace_inference.domain.extensions.trace_records import RequestFacts
from headrace_inference.domain.generation.model import GenerativeModel
from headrace_inference.domain.generation.requests import GenerationCall, GenerationRequest
from headrace_inference.domain.ingress.call_limits import CallLimiter
from headrace_inference.domain.ingress.encoding_wait import EncodingWait
from headrace_inference.domain.ingress.entrance import Entrance
from headrace_inference.domain.ingress.generation_stream import (
    GenerationStream,
    LoopOutbox,
    OpenStreams,
)
from headrace_inference.domain.ingress.ingress import ROUTE_ATTEMPTS, Ingress
from headrace_inference.domain.ingress.receptions import Reception
from headrace_inference.domain.ingress.shadow_generations import ShadowGenerations
from headrace_inference.domain.ingress.text_reception import TextReception, traced_wire
from headrace_inference.domain.routing.request_texts import Headers, Parameter
from headrace_inference.domain.routing.table import OnStandby, Picked, Target
from headrace_inference.domain.routing.targets import ShadowTarget
from headrace_inference.domain.scheduling.queue_refusals import unloading
from headrace_inference.domain.scheduling.requests import Asked
from headrace_inference.domain.scheduling.scheduler import SchedulerStopped
from headrace_inference.domain.versions.loaded_version import LoadedVersion
from headrace_inference.domain.versions.statistics import Received


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CallFacts:
    """Facts of a call before its text is looked at: whom it asks, and what its route may look at."""

    model_name: str
    wire: str
    """The wire that it came over, such as `openai`."""
    model_version: str = ""
    metadata: Headers = ()
    id_text: str = ""
    """The id that its caller gave it, '' where there is none."""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    certificate: PeerCertificate | None = None
    deadline_ns: int | None = None
    held_bytes: int = 0
    """The bytes that it holds of the replica's budget until it is over."""

    @property
    def header(self) -> CallFacts:
        """Return what a route reads parameters from."""
        return self


class LanguageCalls:
    """Calls of text on the event loop that it was made on."""

    def __init__(self, ingress: Ingress) -> None:
        self._ingress = ingress
        self._entrance = Entrance(ingress.callers, ingress.clock)
        self._outbox = LoopOutbox()

    @asynccontextmanager
    async def open(self, facts: CallFacts) -> AsyncIterator[LanguageCall]:
        """The call, let in and with its version, which stays loaded until this is left.

        It counts once, as what its caller is told: as answered when it says so, or when this is left; as
        the error that is raised inside, or that ended a generation; as gone where it is cancelled.
        Whatever still runs then is cancelled. Raises HeadraceError.
        """
        ingress = self._ingress
        names = (facts.model_name, facts.model_version)
        with (
            ingress.receptions.ending(
                TextReception(ingress.receptions, lambda: names, facts.deadline_ns)
            ) as reception,
            ingress.budget.holding(1, facts.held_bytes),
        ):
            limiter = None
            if ingress.callers.are_checked:
                limiter = await self._entrance.enter(
                    facts.metadata, facts.model_name, facts.certificate
                )
            target, picked = await self._leased(facts, reception)
            if ingress.tracer.on:
                self._trace(facts, picked, reception)
            with self._inside(facts, target, picked, reception, limiter) as call:
                yield call
            call.count()

    @contextmanager
    def _inside(
        self,
        facts: CallFacts,
        target: Target,
        picked: Picked,
        reception: Reception,
        limiter: CallLimiter | None,
    ) -> Iterator[LanguageCall]:
        version, route = picked
        call = LanguageCall(
            version, route, reception, self._outbox, self._ingress.text_streams, facts
        )
        if target.shadow is not None and target.shadow.is_due():
            call.copies = target.shadow, self._ingress.shadow_generations
        try:
            if limiter is None:
                yield call
            else:
                with limiter.holding() as place:
                    place.take(1)
                    yield call
        except HeadraceError:
            if not call.has_run:  # refused for what it is: it took no turn
                target.give_back(route, version.record.number)
            raise
        finally:
            call.end()
            version.leases.give_back()

    def _trace(self, facts: CallFacts, picked: Picked, reception: TextReception) -> None:
        tracer, (version, route) = self._ingress.tracer, picked
        rule, context = (
            tracer.rule_for_next(version.record.model),
            tracer.context_of(facts.metadata),
        )
        if rule is None and context is None:
            return
        headers = tracer.forwarded(traced_wire(facts.wire), facts.metadata)
        parameters = {**facts.parameters, **headers}
        number = version.version_text
        told = RequestFacts(version.record.model, number, "", parameters, route, rows=1)
        told.context = context
        reception.trace(tracer, rule, told)

    async def _leased(self, facts: CallFacts, reception: Reception) -> tuple[Target, Picked]:
        """Return what the call's names lead to, and the version that takes it, which is leased."""
        picked: Picked | None = None
        for _ in range(ROUTE_ATTEMPTS):
            target = await self._target(facts, reception)
            if picked is None:
                picked = target.pick(facts)
            else:
                picked = target.pick_again(picked[1], picked[0].record.number, facts)
            reception.statistics, reception.route = picked[0].statistics, picked[1]
            reception.asked = facts
            try:
                picked[0].leases.take()
            except SchedulerStopped:
                continue
            return target, picked
        raise unloading()

    async def _target(self, facts: CallFacts, reception: Reception) -> Target:
        """Return what the names lead to, once that is loaded where it stood by."""
        reconciler = self._ingress.reconciler
        while True:
            try:
                return reconciler.table.target(facts.model_name, facts.model_version)
            except OnStandby as standing_by:
                key = standing_by.key
            await reconciler.standby.wait_until_loaded(
                key, reception.received_ns, reception.deadline_ns
            )


@dataclass(slots=True)
class _Asked:
    """A call of which nothing ran, for the statistics."""

    received_ns: int
    route: str
    asked: Asked | None = None


class LanguageCall:
    """One call and the version that answers it. Several generations may run in it."""

    def __init__(
        self,
        version: LoadedVersion,
        route: str,
        reception: Reception,
        outbox: LoopOutbox,
        streams: OpenStreams,
        facts: CallFacts,
    ) -> None:
        self._facts = facts
        self.version = version
        self.route = route
        self.has_run = False
        """Whether anything of it was handed to the version to run."""
        self.copies: tuple[ShadowTarget, ShadowGenerations] | None = None
        """The shadow that gets copies of this call's generations, and what sends them."""
        self._reception = reception
        self._outbox = outbox
        self._all_streams = streams
        self._streams: list[GenerationStream] = []
        self._runs: list[GenerationCall | EncodingCall] = []

    @property
    def generative(self) -> GenerativeModel:
        """Return the version for whoever has it generate. Raises InvalidArgument (VERSION_KIND)."""
        model = self.version.generative
        if model is None:
            raise _other_kind(self.version, "generates no text")
        return model

    @property
    def encoder(self) -> EncoderModel:
        """Return the version for whoever has it encode. Raises InvalidArgument (VERSION_KIND)."""
        model = self.version.encoder
        if model is None:
            raise _other_kind(self.version, "makes no vectors or scores of texts")
        return model

    def generate(self, request: GenerationRequest) -> GenerationStream:
        """Have this generated. Raises HeadraceError where the version takes no more."""
        engine = self.generative.engine
        stream = GenerationStream(self._outbox, self._reception.failed)
        call = GenerationCall(
            request,
            stream,
            self.route,
            self._reception.received_ns,
            self._reception.deadline_ns,
            self._facts,
        )
        stream.call, stream.wake = call, engine.wake
        self.version.generate(call)
        self.has_run = True
        if self.copies is not None:
            shadow, copies = self.copies
            copies.send(shadow, self.version, request)
        self._streams.append(stream)
        self._all_streams.add(stream)
        self._runs.append(call)
        return stream

    async def encode(self, request: EncodingRequest) -> Vectors:
        """A row for each text. Raises HeadraceError."""
        wait = EncodingWait(asyncio.get_running_loop())
        call = EncodingCall(
            request,
            wait,
            self.route,
            self._reception.received_ns,
            self._reception.deadline_ns,
            self._facts,
        )
        self.encoder  # noqa: B018  # it raises
        self.version.encode(call)
        self.has_run = True
        if self.copies is not None:
            shadow, copies = self.copies
            copies.drop(shadow)
        self._runs.append(call)
        try:
            return await wait.vectors
        except asyncio.CancelledError:
            call.cancelled = True
            raise

    def count(self) -> None:
        """Its answer is about to be sent: it counts now. Raises DeadlineExceeded where nobody waits for it.

        Who streams calls it before the last piece; else it is done when the call is left.
        """
        if self._reception.ended:
            return
        now = self.version.clock.monotonic_ns()
        run: Received = _Asked(self._reception.received_ns, self.route, self._facts)
        began = self._reception.received_ns  # of a call that only asked for tokens
        if self._runs:
            run = first = min(self._runs, key=lambda run: run.started_ns or run.received_ns)
            began = first.started_ns or first.received_ns
        self._reception.run = run, (began, began, now, now)
        self._reception.answered()

    def end(self) -> None:
        """Whatever still runs of it ends."""
        for stream in self._streams:
            stream.cancel()
            self._all_streams.discard(stream)


def _other_kind(version: LoadedVersion, lacks: str) -> HeadraceError:
    record = version.record
    kind = record.kind
    return InvalidArgument(
        "VERSION_KIND",
        f"{record.key} is a version of kind '{kind}', which {lacks}; {_ADVICE[kind]}",
        facts={"kind": str(kind)},
    )


_ADVICE: Mapping[VersionKind, str] = {
    VersionKind.TENSORS: "ask it for tensors, by ModelInfer or /v2/models/NAME/infer",
    VersionKind.GENERATION: "ask it for text, by /v1/chat/completions or /v1/completions",
    VersionKind.EMBEDDING: "ask it for vectors, by /v1/embeddings",
    VersionKind.RERANK: "ask it for scores, by /v1/rerank",
}
