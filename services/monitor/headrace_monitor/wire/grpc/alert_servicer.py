"""The RPC methods of alerts: each decodes, calls the desk, and encodes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from headrace.monitor.v1 import alert_service_pb2 as pb
from headrace.monitor.v1 import alert_service_pb2_grpc
from headrace.security.access import Access
from headrace.security.callers import current_caller
from headrace.security.verbs import Verb
from headrace_monitor.domain.alerts.alert_book import AlertBook
from headrace_monitor.domain.alerts.alert_desk import MAX_PAGE, AlertDesk, AlertQuery
from headrace_monitor.domain.alerts.evaluator import Evaluator
from headrace_monitor.domain.alerts.objectives import Objectives
from headrace_monitor.domain.queries.query_engine import QueryEngine
from headrace_monitor.wire.grpc import alert_convert as convert
from headrace_monitor.wire.grpc import streams
from headrace_monitor.wire.grpc.times import timestamp
from headrace_monitor.wire.sight import Sight

WATCH_SECONDS = 0.5
"""So long after a change a watcher hears of it at the latest."""


@dataclass(frozen=True, slots=True)
class AlertParts:
    """All that answers for alerts."""

    desk: AlertDesk
    evaluator: Evaluator
    objectives: Objectives
    questions: QueryEngine
    """In whose thread answers are made: of a thousand alerts that takes 40 ms."""
    path: str = ""
    """The file of rules that the monitor was started with."""


class AlertServicer(alert_service_pb2_grpc.AlertServiceServicer):
    """Answers with what the caller may see; watches end when `stopping` is set."""

    def __init__(self, parts: AlertParts, access: Access, stopping: asyncio.Event) -> None:
        self._parts = parts
        self._desk = parts.desk
        self._access = access
        self._sight = Sight(access)
        self._stopping = stopping

    @property
    def book(self) -> AlertBook:
        """What is pending, firing and over."""
        return self._desk.book

    def _sees(self) -> Callable[[str], bool]:
        """What tells the models that the caller may read; what belongs to no model, everybody sees."""
        may_read = self._sight.models()
        return lambda model: not model or may_read(model)

    async def ApplyRules(
        self, request: pb.ApplyRulesRequest, context: object
    ) -> pb.ApplyRulesResponse:
        """Put a file of rules in force, or say what it would change."""
        change = await self._desk.apply_rules(request.rules, request.etag, dry_run=request.dry_run)
        return convert.change_to_proto(change)

    async def ListRules(
        self, request: pb.ListRulesRequest, context: object
    ) -> pb.ListRulesResponse:
        """The rules in force; to whoever administrates also where alerts go, and the file."""
        book = self._desk.book
        in_force = book.in_force
        receivers = in_force.rules.receivers
        answer = pb.ListRulesResponse(
            rules=convert.rules_to_proto(in_force.rules.rules, (each.name for each in receivers)),
            etag=in_force.etag,
        )
        if self._access.may(current_caller().identity, Verb.ADMIN, ""):
            health = self._desk.deliveries.health
            waiting = [each.receiver for each in book.waiting.values()]
            answer.receivers.extend(
                convert.receiver_to_proto(
                    each,
                    health.get(each.name),
                    book.counts.get(each.name, {}),
                    waiting.count(each.name),
                )
                for each in sorted(receivers, key=lambda each: each.name)
            )
            answer.source, answer.path = in_force.source, self._parts.path
        return answer

    async def ListAlerts(
        self, request: pb.ListAlertsRequest, context: object
    ) -> pb.ListAlertsResponse:
        """Alerts that are pending or firing, or what is over."""
        evaluator, query, sees = (
            self._parts.evaluator,
            convert.query_from_proto(request),
            self._sees(),
        )

        def made() -> pb.ListAlertsResponse:
            page = self._desk.page(query, sees)
            return pb.ListAlertsResponse(
                alerts=map(convert.alert_to_proto, page.alerts),
                next_page_token=page.next_token,
                total_size=page.total,
                evaluations=evaluator.evaluations,
            )

        answer = await self._parts.questions.run_in_thread(made)
        if evaluator.stalled_ns:
            answer.stalled_time.CopyFrom(timestamp(evaluator.stalled_ns))
        if evaluator.evaluated_ns:
            answer.evaluate_time.CopyFrom(timestamp(evaluator.evaluated_ns))
        return answer

    async def WatchAlerts(
        self, request: pb.WatchAlertsRequest, context: object
    ) -> AsyncIterator[pb.WatchAlertsResponse]:
        """Alerts that are pending or firing, now and after every change."""
        query = AlertQuery(model=request.model, size=MAX_PAGE)
        known = -1
        async for _ in streams.ticks(self._stopping, WATCH_SECONDS):
            revision = self._desk.book.revision
            if revision != known:
                known = revision
                yield await self._watched(query)

    async def _watched(self, query: AlertQuery) -> pb.WatchAlertsResponse:
        sees = self._sees()

        def made() -> pb.WatchAlertsResponse:
            found = self._desk.page(query, sees)
            return pb.WatchAlertsResponse(alerts=map(convert.alert_to_proto, found.alerts))

        return await self._parts.questions.run_in_thread(made)

    async def AcknowledgeAlert(
        self, request: pb.AcknowledgeAlertRequest, context: object
    ) -> pb.Alert:
        """Somebody looks after an alert: who may move the model's route, or administrates."""
        caller = current_caller()
        model = self._desk.alert(request.id, self._sees()).subject.model
        if not (
            self._access.may(caller.identity, Verb.ROUTE, model)
            or self._access.may(caller.identity, Verb.ADMIN, model)
        ):
            raise self._access.denied(caller.identity, Verb.ROUTE, model)
        return convert.alert_to_proto(
            await self._desk.acknowledge(request.id, caller.actor, request.comment)
        )

    async def CreateSilence(self, request: pb.CreateSilenceRequest, context: object) -> pb.Silence:
        """Tell nobody of some alerts until a time."""
        wanted = convert.silence_from_proto(request.silence, current_caller().actor)
        made = await self._desk.silence(wanted)
        return convert.silence_to_proto(made, self._desk.fitting(made))

    async def ListSilences(
        self, request: pb.ListSilencesRequest, context: object
    ) -> pb.ListSilencesResponse:
        """The silences that have not ended."""
        return pb.ListSilencesResponse(
            silences=[
                convert.silence_to_proto(each, self._desk.fitting(each))
                for each in self._desk.silences()
            ]
        )

    async def DeleteSilence(
        self, request: pb.DeleteSilenceRequest, context: object
    ) -> pb.DeleteSilenceResponse:
        """End a silence."""
        await self._desk.end_silence(request.id)
        return pb.DeleteSilenceResponse()

    async def TestReceiver(
        self, request: pb.TestReceiverRequest, context: object
    ) -> pb.TestReceiverResponse:
        """Send a test to a receiver."""
        problem = await self._desk.test(request.receiver)
        return pb.TestReceiverResponse(delivered=not problem, problem=problem)

    async def ListObjectives(
        self, request: pb.ListObjectivesRequest, context: object
    ) -> pb.ListObjectivesResponse:
        """How the service objectives stand."""
        sees = self._sees()
        wanted = (lambda model: model == request.model and sees(model)) if request.model else sees
        found = await self._parts.objectives.statuses(wanted)
        return pb.ListObjectivesResponse(objectives=map(convert.objective_to_proto, found))
