"""The fields of versions that a filter may name, and their values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

from headrace.filters import Field, Found, Kind
from headrace.gates import Measurements
from headrace.resource_names import annotations_resource
from headrace.state.annotation_records import AnnotationRecord, Lineage
from headrace.state.catalog import Catalog
from headrace.state.record_collections import ANNOTATIONS
from headrace.state.records import ModelRecord, VersionRecord

KNOWN = (
    "model, number, kind, create_time, age, size_bytes, digest, description, inputs, outputs, labels, "
    "labels.KEY, tags, tags.KEY, metrics, metrics.NAME, metrics.NAME.lower, .upper and .rows, "
    "lineage.parent, lineage.method, lineage.command, lineage.source_revision, lineage.data_digest, "
    "lineage.training_run, lineage.facts.KEY, alias, role, attachments"
)
_NOTHING = Lineage()
_FACTS = "lineage.facts."


@dataclass
class SearchedVersion:
    """A version as a search looks at it: what no filter names is not read."""

    catalog: Catalog
    model: ModelRecord
    number: int
    now: float

    @cached_property
    def version(self) -> VersionRecord:
        """Its record."""
        return self.catalog.versions[self.model.name, self.number]

    @cached_property
    def said(self) -> AnnotationRecord:
        """What is said of it."""
        name = annotations_resource(self.model.name, self.number)
        found = self.catalog.of(ANNOTATIONS).get(name)
        return found or AnnotationRecord(self.model.name, self.number)

    @cached_property
    def measurements(self) -> Measurements:
        """Its metrics by name and slice."""
        return Measurements(self.said.metrics)

    @cached_property
    def aliases(self) -> tuple[str, ...]:
        """The aliases that name it, in their order."""
        named = self.model.aliases.items()
        return tuple(sorted(name for name, alias in named if alias.version == self.number))

    def value(self, field: Field) -> Found:
        """The value of a field that there is; None where this version has none."""
        if field.name in _PLAIN:
            return _PLAIN[field.name][1](self)
        group, _, name = field.name.partition(".")
        if group == "metrics":
            found = self.measurements.newest(field)
            return found.value if found else None
        if field.name.startswith(_FACTS):
            return (self.said.lineage or _NOTHING).facts.get(field.name.removeprefix(_FACTS))
        return (self.model.labels if group == "labels" else self.said.tags).get(name)


@lru_cache(maxsize=1024)
def kind_of(field: Field) -> Kind | None:
    """The kind of a field; None where there is no such field. Slices and data are of metrics alone."""
    group, _, name = field.name.partition(".")
    if group == "metrics" and name:
        return Kind.NUMBER
    if field.data or field.slice:
        return None
    if field.name in _PLAIN:
        return _PLAIN[field.name][0]
    is_keyed = (group in ("labels", "tags") and name) or field.name.removeprefix(
        _FACTS
    ) != field.name
    return Kind.TEXT if is_keyed else None


def _roles(searched: SearchedVersion) -> tuple[str, ...]:
    route = searched.model.route
    if route is None:
        return ()
    roles = [role for role, number in route.named() if number == searched.number]
    if route.previous == searched.number:
        roles.append("previous")
    return tuple(dict.fromkeys(roles))


def _of_lineage(name: str) -> Callable[[SearchedVersion], Found]:
    def read(searched: SearchedVersion) -> Found:
        value: Found = getattr(searched.said.lineage or _NOTHING, name)
        return value or None

    return read


_PLAIN: Mapping[str, tuple[Kind, Callable[[SearchedVersion], Found]]] = {
    "model": (Kind.TEXT, lambda one: one.model.name),
    "number": (Kind.NUMBER, lambda one: one.number),
    "kind": (Kind.TEXT, lambda one: str(one.version.kind)),
    "create_time": (Kind.MOMENT, lambda one: one.version.created_at),
    "age": (Kind.SPAN, lambda one: max(0.0, one.now - one.version.created_at)),
    "size_bytes": (Kind.NUMBER, lambda one: one.version.size_bytes),
    "digest": (Kind.TEXT, lambda one: one.version.digest),
    "description": (Kind.TEXT, lambda one: one.said.description or one.version.description),
    "inputs": (Kind.TEXTS, lambda one: tuple(each.name for each in one.version.signature.inputs)),
    "outputs": (Kind.TEXTS, lambda one: tuple(each.name for each in one.version.signature.outputs)),
    "labels": (Kind.TEXTS, lambda one: tuple(one.model.labels)),
    "tags": (Kind.TEXTS, lambda one: tuple(one.said.tags)),
    "metrics": (Kind.TEXTS, lambda one: tuple({each.name for each in one.said.metrics})),
    "lineage.parent": (Kind.NUMBER, _of_lineage("parent_version")),
    "lineage.method": (Kind.TEXT, _of_lineage("method")),
    "lineage.command": (Kind.TEXT, _of_lineage("command")),
    "lineage.source_revision": (Kind.TEXT, _of_lineage("source_revision")),
    "lineage.data_digest": (Kind.TEXT, _of_lineage("data_digest")),
    "lineage.training_run": (Kind.TEXT, _of_lineage("training_run")),
    "alias": (Kind.TEXTS, lambda one: one.aliases),
    "role": (Kind.TEXTS, _roles),
    "attachments": (Kind.TEXTS, lambda one: tuple(each.path for each in one.said.attachments)),
}
