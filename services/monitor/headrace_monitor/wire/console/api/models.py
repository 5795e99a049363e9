"""GET /api/v1/models, /models/{model}, /overview and /replicas: the catalog beside what it does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from headrace.client.resources import Model
from headrace.service.http.requests import Request
from headrace.state.records import ReplicaRecord
from headrace.telemetry.measures import TOTAL_TIME
from headrace_monitor.domain.catalog import catalog as nouns
from headrace_monitor.domain.catalog.catalog import Catalog, CatalogModel, Snapshot
from headrace_monitor.domain.catalog.choice import entry_of
from headrace_monitor.domain.catalog.history import History
from headrace_monitor.domain.catalog.search import Page, fits, page_of
from headrace_monitor.domain.ledger.totals import OTHER
from headrace_monitor.domain.queries.query_engine import VersionStatistics
from headrace_monitor.domain.queries.recent_figures import (
    WINDOW_SECONDS,
    RecentFigures,
    RecentFiguresCache,
)
from headrace_monitor.domain.telemetry.report import NANOSECONDS
from headrace_monitor.domain.telemetry.tally import Tally
from headrace_monitor.wire.console.api import catalog_json, parameters
from headrace_monitor.wire.console.api.api import Api, Make
from headrace_monitor.wire.console.api.catalog_json import DELETED, freshness_json, version_row
from headrace_monitor.wire.console.api.figures_json import (
    gap_json,
    parts_json,
    quantile_ms,
    statistics_json,
)
from headrace_monitor.wire.sight import Sight

PAGE_SIZE = 50
MAX_PAGE_SIZE = 200
SHOWN_VERSIONS = 20
SORTS = ("name", "rate", "errors", "p99", "created", "problems")
STATES = ("READY", "LOADING", "UNLOADING", "UNAVAILABLE", nouns.STANDBY, nouns.NOT_LOADED)


class FollowedCatalog(Catalog, Protocol):
    """A catalog that is told when somebody looks."""

    def asked(self) -> None:
        """Somebody looks."""


class ModelHistories(Protocol):
    """Histories of models."""

    async def of(self, model: str) -> History:
        """The history of a model, as far as it is known."""


Attention = Callable[[Callable[[str], bool]], Mapping[str, object]]
"""What else there is to say of the models that count: their alerts, and how many fields drift."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of all models at one moment."""

    snapshot: Snapshot
    freshness: nouns.Freshness
    figures: RecentFigures

    def entries(self, sees: Callable[[str], bool]) -> Iterator[CatalogModel]:
        """The models that a caller sees; those of figures alone, too, while no catalog is known."""
        yield from (entry for name, entry in self.snapshot.models.items() if sees(name))
        if not self.freshness.is_known:
            for name in self.figures.models:
                if name != OTHER.model and sees(name):
                    yield CatalogModel(Model(name))

    def entry(self, name: str) -> CatalogModel:
        """One model. Raises NotFound (MODEL_NOT_FOUND)."""
        if not self.freshness.is_known and name in self.figures.models:
            return CatalogModel(Model(name))
        return entry_of(self.snapshot, name)

    def numbers(self, entry: CatalogModel) -> list[int]:
        """The versions that are there, and those that still have figures, newest first."""
        called = {number for number in self.figures.of(entry.model.name) if number}
        return sorted(called | entry.versions.keys(), reverse=True)

    def as_json(self) -> dict[str, object]:
        """How far the catalog can be relied on."""
        return freshness_json(self.freshness, self.snapshot)


@dataclass(frozen=True, slots=True)
class _Row:
    """A model of a list, with what it can be sorted by."""

    entry: CatalogModel
    tally: Tally
    seconds: float
    problems: int
    attention: Mapping[str, object] = field(default_factory=dict)

    def key(self, sort: str) -> tuple[float, str]:
        name = self.entry.model.name
        match sort:
            case "rate":
                return self.tally.request_count, name
            case "errors":
                return self.tally.error_share, name
            case "p99":
                return self.tally[TOTAL_TIME].quantile_ns(0.99), name
            case "created":
                return self.entry.model.created_at, name
            case "problems":
                return self.problems, name
            case _:
                return 0.0, name


class ModelsApi:
    """Answers about models and replicas."""

    def __init__(
        self,
        catalog: FollowedCatalog,
        histories: ModelHistories,
        recent: RecentFiguresCache,
        sight: Sight,
        attention: Attention,
    ) -> None:
        self._catalog = catalog
        self._histories = histories
        self._recent = recent
        self._sight = sight
        self._attention = attention

    def add_to(self, api: Api) -> None:
        """Add the routes."""
        api.get("/overview", self._overview)
        api.get("/models", self._models)
        api.get("/models/{model}", self._model)
        api.get("/replicas", self._replicas)

    async def known(self) -> Known:
        """What is known now; replicas are listed often from here on."""
        self._catalog.asked()
        figures = await self._recent.get()
        return Known(self._catalog.snapshot, self._catalog.freshness(), figures)

    async def _models(self, request: Request) -> Make:
        search = parameters.text(request, "search").lower()
        number = parameters.whole_number(request, "page", 1, 1, 1_000_000)
        size = parameters.whole_number(request, "size", PAGE_SIZE, 1, MAX_PAGE_SIZE)
        sort = parameters.choice(request, "sort", SORTS, "name")
        known, sees, verbs = await self.known(), self._sight.models(), self._sight.verbs()

        def make() -> object:
            rows = [_row(known, entry) for entry in known.entries(sees) if fits(entry, search)]
            rows.sort(key=lambda row: row.key(sort.removeprefix("-")), reverse=sort[0] == "-")
            page = page_of(rows, number, size)
            models = [self._row_json(known, row, verbs) for row in page.items]
            return known_page(known, page) | {"models": models}

        return make

    async def _model(self, request: Request) -> Make:
        name = request.names["model"]
        known, verbs = await self.known(), self._sight.verbs()
        entry = known.entry(name)
        history = await self._histories.of(name)

        def make() -> object:
            head = self._row_json(known, _row(known, entry), verbs)
            versions = [*_details(known, entry, history)]
            none = known.figures.of(name).get(0)
            unresolved = _figures_json(known, none) if none else None
            return head | {
                "catalog": known.as_json(),
                "window_seconds": WINDOW_SECONDS,
                "covered_seconds": known.figures.seconds,
                "versions": versions,
                "more_versions": entry.left_out,
                "without_version": unresolved,
            }

        return make

    def _row_json(
        self, known: Known, row: _Row, verbs: Callable[[str], list[str]]
    ) -> dict[str, object]:
        entry, tally = row.entry, row.tally
        name, numbers = entry.model.name, known.numbers(entry)
        found, replicas = known.figures.of(name), known.snapshot.replicas
        return {
            **catalog_json.model_json(entry.model),
            "may": verbs(name),
            "route": catalog_json.route_json(entry.route),
            "aliases": catalog_json.aliases_json(entry),
            "versions": [
                version_row(entry, number, replicas, found.get(number), row.seconds)
                for number in numbers[:SHOWN_VERSIONS]
            ],
            "more_versions": max(0, len(numbers) - SHOWN_VERSIONS) + entry.left_out,
            "problems": row.problems,
            "requests_per_second": tally.request_count / row.seconds,
            "errors_per_second": tally.failed_count / row.seconds,
            "error_share": tally.error_share,
            "p99_ms": quantile_ms(tally[TOTAL_TIME], 0.99),
            **self._attention(lambda model: model == name),
        }

    async def _overview(self, _: Request) -> Make:
        known, sees = await self.known(), self._sight.models()

        def make() -> object:
            entries = [*known.entries(sees)]
            tally = _sum(known, entries)
            return {
                "catalog": known.as_json(),
                "models": len(entries),
                "versions": _states(known, entries),
                "replicas": _stages(known.snapshot.replicas.records),
                "requests_per_second": tally.request_count / known.figures.seconds,
                "errors_per_second": tally.failed_count / known.figures.seconds,
                "p99_ms": quantile_ms(tally[TOTAL_TIME], 0.99),
                **self._attention(lambda model: not model or sees(model)),
                "gaps": [gap_json(gap) for gap in known.figures.gaps],
            }

        return make

    async def _replicas(self, _: Request) -> Make:
        known, sees = await self.known(), self._sight.models()

        def make() -> object:
            records = known.snapshot.replicas.records
            there = {record.id for record in records}
            return {
                "catalog": known.as_json(),
                "replicas": [_replica_json(known, record, sees) for record in records],
                "lost": [
                    {"id": name, "last_report": found.last_report_ns / NANOSECONDS}
                    for name, found in known.figures.replicas.items()
                    if name not in there and known.freshness.is_known
                ],
            }

        return make


def known_page(known: Known, page: Page[_Row]) -> dict[str, object]:
    """What a page of a list says beside its items."""
    return {
        "catalog": known.as_json(),
        "total": page.total,
        "page": page.number,
        "size": page.size,
        "pages": page.count,
        "window_seconds": WINDOW_SECONDS,
        "covered_seconds": known.figures.seconds,
    }


def _row(known: Known, entry: CatalogModel) -> _Row:
    states = [known.snapshot.replicas.state(entry, number) for number in entry.versions]
    problems = states.count("UNAVAILABLE")
    return _Row(entry, _sum(known, [entry]), known.figures.seconds, problems)


def _sum(known: Known, entries: Iterable[CatalogModel]) -> Tally:
    total = Tally()
    for entry in entries:
        for found in known.figures.of(entry.model.name).values():
            total = total.plus(found.tally)
    return total


def _figures_json(known: Known, found: VersionStatistics | None) -> dict[str, object]:
    return statistics_json(found, known.figures.seconds, known.figures.prices)


def _details(known: Known, entry: CatalogModel, history: History) -> Iterator[dict[str, object]]:
    found, pushers = known.figures.of(entry.model.name), history.pushers()
    for number in known.numbers(entry):
        version = entry.versions.get(number)
        did = found.get(number)
        parts = {"parts": parts_json(did.tally) if did else []}
        figures = {"statistics": _figures_json(known, did) | parts}
        if version is None:
            yield {"number": number, "state": DELETED} | figures
        else:
            replicas = known.snapshot.replicas
            yield catalog_json.version_json(entry, version, replicas, pushers) | figures


def _states(known: Known, entries: Iterable[CatalogModel]) -> dict[str, int]:
    replicas = known.snapshot.replicas
    states = Counter(
        replicas.state(entry, number) for entry in entries for number in entry.versions
    )
    return {state: states[state] for state in STATES}


def _stages(records: Iterable[ReplicaRecord]) -> dict[str, int]:
    stages = Counter(record.stage.name for record in records)
    return {stage: stages[stage] for stage in ("READY", "JOINING", "LEAVING")}


def _replica_json(
    known: Known, record: ReplicaRecord, sees: Callable[[str], bool]
) -> dict[str, object]:
    found = known.figures.replicas.get(record.id)
    return {
        "id": record.id,
        "stage": record.stage.name,
        "grpc": record.grpc_address,
        "http": record.http_address,
        "devices": list(record.devices),
        "labels": dict(record.labels),
        "pid": record.pid,
        "started_at": record.started_at,
        "applied_revision": record.applied_revision,
        "behind": max(0, known.snapshot.revision - record.applied_revision),
        "loads_on_request": record.loads_on_request,
        "problem": record.problem,
        "last_report": found.last_report_ns / NANOSECONDS if found else None,
        "dropped_reports": found.dropped_reports if found else 0,
        "clock_ahead": found.clock_ahead_ns / NANOSECONDS if found else 0.0,
        "versions": [
            {
                "model": each.model,
                "version": each.number,
                "state": each.state.value,
                "reason": each.reason,
                "memory_bytes": each.memory_bytes,
                "provider": each.provider,
            }
            for each in record.versions
            if sees(each.model)
        ],
    }
