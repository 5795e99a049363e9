"""Rows as they are copied on their way: what can be done later is done later, by the sampler's thread."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from headrace.state.records import VersionRecord
from headrace_inference.domain.sampling.copying import size_of
from headrace_inference.domain.sampling.rows import SampledRequest, SampledRows
from headrace_inference.domain.sampling.slices import Slicing, slices_of
from headrace_inference.domain.scheduling.flagged_routes import plain_route
from headrace_inference.domain.scheduling.requests import Array, Asked, WithParameters

Arrays = tuple[Array | None, ...]


class Said(NamedTuple):
    """What a request said beside its tensors; nothing of its message is held."""

    route: str
    id_text: str = ""
    metadata: Iterable[tuple[str, str | bytes]] = ()
    header: WithParameters | None = None


class TakenRows(NamedTuple):
    """Rows of one run."""

    answered_ns: int
    rows: int
    inputs: Arrays
    outputs: Arrays
    said: Sequence[Said] = ()
    """Of each row; none where nobody asks for it."""
    row_numbers: Sequence[int] = ()
    lengths: Mapping[str, int] = {}
    probability: float = 1.0

    @property
    def size_bytes(self) -> int:
        """About how many bytes its tensors hold."""
        return size_of(self.inputs) + size_of(self.outputs)


NOBODY = SampledRequest()


def said_by(route: str, asked: Asked | None) -> Said:
    """What a request says, without the request."""
    if asked is None:
        return Said(route)
    return Said(route, asked.id_text, asked.metadata, asked.header)


class RowMaker:
    """Makes rows for consumers of those that were taken of a version."""

    def __init__(
        self,
        record: VersionRecord,
        labels: Mapping[str, Sequence[bytes]],
        slicings: Sequence[Slicing],
    ) -> None:
        self._record, self._labels, self._slicings = record, labels, slicings

    def rows(self, taken: TakenRows) -> SampledRows:
        """The rows of one run."""
        requests = self._requests(taken.said) if taken.said else [NOBODY] * taken.rows
        return self._made(taken, taken.inputs, taken.outputs, requests, taken.row_numbers)

    def joined(self, taken: Sequence[TakenRows]) -> Iterator[SampledRows]:
        """Yield the rows of many runs, together where their tensors have the same shapes."""
        first = taken[0]
        try:
            inputs = _concatenated([one.inputs for one in taken])
            outputs = _concatenated([one.outputs for one in taken])
        except ValueError:  # of other shapes, or not all have the same tensors
            yield from map(self.rows, taken)
            return
        rows = sum([one.rows for one in taken])
        said = [each for one in taken for each in one.said]
        requests = self._requests(said) if said else [NOBODY] * rows
        numbers = [number for one in taken for number in one.row_numbers]
        lengths = {
            name: np.array([one.lengths[name] for one in taken], np.int64) for name in first.lengths
        }
        made = self._made(first, inputs, outputs, requests, numbers)
        yield made if not lengths else _with_lengths(made, lengths)

    def _made(
        self,
        taken: TakenRows,
        inputs: Arrays,
        outputs: Arrays,
        requests: Sequence[SampledRequest],
        numbers: Sequence[int],
    ) -> SampledRows:
        lengths = {name: np.array([count], np.int64) for name, count in taken.lengths.items()}
        return SampledRows(
            self._record,
            taken.answered_ns,
            requests,
            numbers or range(len(requests)),
            inputs,
            outputs,
            lengths,
            self._labels,
        )

    def _requests(self, said: Iterable[Said]) -> list[SampledRequest]:
        """The requests; rows of one request that follow one another share it."""
        found: list[SampledRequest] = []
        last: Said | None = None
        for one in said:
            if one is not last:
                last, request = one, requested(one, self._slicings)
            found.append(request)
        return found


def requested(said: Said, slicings: Sequence[Slicing]) -> SampledRequest:
    """The request that said so."""
    route = plain_route(said.route)
    if said.header is None:
        return SampledRequest(said.id_text, route)
    asked = _Asked(said.id_text, said.metadata, said.header)
    slices = slices_of(asked, slicings)
    return SampledRequest(said.id_text, route, slices, dict(said.header.parameters))


class _Asked(NamedTuple):
    id_text: str
    metadata: Iterable[tuple[str, str | bytes]]
    header: WithParameters
    certificate: None = None


def _with_lengths(rows: SampledRows, lengths: Mapping[str, Array]) -> SampledRows:
    return SampledRows(
        rows.record,
        rows.answered_ns,
        rows.requests,
        rows.row_numbers,
        rows.inputs,
        rows.outputs,
        lengths,
        rows.labels,
    )


def _concatenated(parts: Sequence[Arrays]) -> Arrays:
    """Raises ValueError where these cannot be joined."""
    if len(parts) == 1:
        return parts[0]
    return tuple([_joined(column) for column in zip(*parts, strict=True)])


def _joined(column: Sequence[Array | None]) -> Array | None:
    there = [array for array in column if array is not None]
    if not there:
        return None
    if len(there) != len(column):
        raise ValueError("some are left out")
    return np.concatenate(there)
