"""Searches of versions by what is said of them, and what a model's gate says of those found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from headrace.client.annotation_resources import FoundVersion, Metric
from headrace.gates import Verdict, judge, references_for
from headrace.state.gate_records import GateRecord
from headrace_monitor.domain.catalog.catalog import CatalogModel


@dataclass(frozen=True, slots=True)
class VersionSearch:
    """A page of versions to find, of one model or of all that the caller may read."""

    model: str = ""
    filter: str = ""
    order_by: str = ""
    size: int = 100
    page: str = ""


@dataclass(frozen=True, slots=True)
class FoundPage:
    """Versions that were found, and how to ask for those after them."""

    found: tuple[FoundVersion, ...]
    next_page: str = ""


def compared_with(gate: GateRecord, entry: CatalogModel) -> set[int]:
    """The versions that a gate compares others with, now."""
    stable = entry.route.stable if entry.route else None
    names = {"": stable, "stable": stable, **_aliases(entry)}
    found = {names.get(each.than) for each in gate.no_worse_than}
    return {number for number in found if number is not None}


def verdict_on(
    gate: GateRecord, entry: CatalogModel, number: int, metrics: Mapping[int, Iterable[Metric]]
) -> Verdict:
    """What a gate says of a version, by the metrics of it and of those that it is compared with."""
    stable = entry.route.stable if entry.route else None
    references = references_for(
        gate, number, stable, _aliases(entry), lambda other: metrics.get(other, ())
    )
    return judge(gate, metrics.get(number, ()), references)


def _aliases(entry: CatalogModel) -> dict[str, int]:
    return {name: alias.version for name, alias in entry.aliases.items()}
