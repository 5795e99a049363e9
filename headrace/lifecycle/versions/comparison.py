"""Compares two versions of a model: what callers send and get, how they are served, what was measured."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headrace.client import Metric, Version, VersionAnnotations, VersionReference
    from headrace.state.records import Signature, TensorSpec


@dataclass(frozen=True, slots=True)
class Difference:
    """A fact of two versions in which they differ; '' where one has none."""

    what: str
    first: str
    second: str


@dataclass(frozen=True, slots=True)
class MetricDifference:
    """A metric of two versions on the same slice of the same data; None where one has it not."""

    name: str
    slice: str
    data_digest: str
    data_name: str
    first: Metric | None
    second: Metric | None

    @property
    def change(self) -> float | None:
        """The second value less the first; None where one is not there."""
        if self.first is None or self.second is None:
            return None
        return self.second.value - self.first.value

    @property
    def intervals_overlap(self) -> bool | None:
        """Return whether the intervals share a value; None where one has no interval.

        Where they do not, the difference is more than chance; where they do, it may be either.
        """
        ends = [
            (each.lower, each.upper)
            for each in (self.first, self.second)
            if each is not None and each.lower is not None and each.upper is not None
        ]
        if len(ends) != 2:
            return None
        (one_lower, one_upper), (other_lower, other_upper) = ends
        assert one_lower is not None
        assert one_upper is not None
        assert other_lower is not None
        assert other_upper is not None
        return one_lower <= other_upper and other_lower <= one_upper


@dataclass(frozen=True, slots=True)
class VersionComparison:
    """In what two versions differ, part by part; what is the same in both is not listed."""

    model: str
    first: int
    second: int
    signature: tuple[Difference, ...]
    config: tuple[Difference, ...]
    files: tuple[Difference, ...]
    size_bytes: tuple[int, int]
    metrics: tuple[MetricDifference, ...]
    """All of both, differing or not."""
    lineage: tuple[Difference, ...]
    tags: tuple[Difference, ...]
    reference: tuple[Difference, ...]
    description: tuple[Difference, ...]

    @property
    def same_artifact(self) -> bool:
        """Return whether both have the same files."""
        return not self.files


@dataclass(frozen=True, slots=True)
class Described:
    """A version with all that is known of it."""

    version: Version
    said: VersionAnnotations
    reference: VersionReference | None = None


def compare_versions(first: Described, second: Described) -> VersionComparison:
    """Return in what two versions of a model differ."""
    pair = (first, second)
    one, other = first.version, second.version
    return VersionComparison(
        one.model,
        one.number,
        other.number,
        _between(*(_tensors(each.version.signature) for each in pair)),
        _between(*(_flat(each.version.config) for each in pair)),
        _between(*({file.path: file.sha256 for file in each.version.files} for each in pair)),
        (one.size_bytes, other.size_bytes),
        tuple(_metrics(first.said, second.said)),
        _between(*(_flat(each.said.lineage) if each.said.lineage else {} for each in pair)),
        _between(*(each.said.tags for each in pair)),
        _between(*(_reference(each.reference) for each in pair)),
        _between(*({"description": each.version.description} for each in pair)),
    )


def _between(first: Mapping[str, str], second: Mapping[str, str]) -> tuple[Difference, ...]:
    names = dict.fromkeys([*first, *second])
    pairs = ((name, first.get(name, ""), second.get(name, "")) for name in names)
    return tuple(Difference(name, one, other) for name, one, other in pairs if one != other)


def _tensors(signature: Signature) -> dict[str, str]:
    return {
        f"{noun} {spec.name}": tensor_text(spec)
        for noun, specs in (
            ("input", signature.inputs),
            ("optional input", signature.optional_inputs),
            ("output", signature.outputs),
        )
        for spec in specs
    }


def tensor_text(spec: TensorSpec) -> str:
    """A tensor's datatype and shape, as FP32[-1,4]."""
    return f"{spec.datatype}[{'...' if spec.unranked else ','.join(map(str, spec.shape))}]"


def _flat(record: Any, path: str = "") -> dict[str, str]:
    """The fields of a record, nested ones by their paths."""
    if dataclasses.is_dataclass(record):
        record = {each.name: getattr(record, each.name) for each in dataclasses.fields(record)}
    if isinstance(record, Mapping):
        flat: dict[str, str] = {}
        for name, value in record.items():
            flat |= _flat(value, f"{path}.{name}" if path else str(name))
        return flat
    is_left_open = record is None or record in ("", (), 0)
    return {path: "" if is_left_open and record is not False else str(record)}


def _reference(reference: VersionReference | None) -> dict[str, str]:
    if reference is None:
        return {}
    enforced = {
        f"enforced of {each.name}": each.enforcement
        for each in reference.fields
        if each.enforcement != "count"
    }
    return {
        "reference": reference.digest,
        "reference rows": str(reference.rows),
        "reference origin": reference.origin,
        **enforced,
    }


def _metrics(first: VersionAnnotations, second: VersionAnnotations) -> Iterator[MetricDifference]:
    ones, others = ({each.key: each for each in said.metrics} for said in (first, second))
    for key in sorted({*ones, *others}):
        one, other = ones.get(key), others.get(key)
        named = (other and other.data_name) or (one and one.data_name) or ""
        yield MetricDifference(*key, named, one, other)
