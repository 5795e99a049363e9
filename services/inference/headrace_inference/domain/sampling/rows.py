"""The nouns of sampling: rows that were copied on their way, and who takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from headrace.state.records import VersionRecord
from headrace_inference.domain.scheduling.requests import Array, Parameter

PROMPT, ANSWER = "prompt", "answer"
"""The lengths, in tokens, that generative versions have."""


@dataclass(frozen=True, slots=True, eq=False)
class SampledRequest:
    """A request of which rows were taken. It holds nothing of the request's message."""

    id: str = ""
    """'' where its caller gave none."""
    route: str = ""
    """Why this version answered: stable, canary, pinned, alias, shadow, ..."""
    slices: tuple[str, ...] = ()
    """`header x-region=eu`, as the setting `slice_by` tells them apart."""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class SampledRows:
    """Rows of one run of a version, copied. `requests[i]` and `row_numbers[i]` say where row i is from.

    `inputs` are in the order of the signature, its optional inputs last, `outputs` in its order; each has
    the rows first. None: there was none, or it has no rows (an output that tells of all of them at once).
    """

    record: VersionRecord
    answered_ns: int
    """The wall clock's nanoseconds."""
    requests: Sequence[SampledRequest]
    row_numbers: Sequence[int]
    """From 0 in each request."""
    inputs: Sequence[Array | None] = ()
    outputs: Sequence[Array | None] = ()
    lengths: Mapping[str, npt.NDArray[np.int64]] = field(default_factory=dict)
    """Of generations, by PROMPT and ANSWER, instead of tensors."""
    labels: Mapping[str, Sequence[bytes]] = field(default_factory=dict)
    """The names of the classes of outputs, where the version has files of them."""

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.requests)


class RowConsumer(Protocol):
    """Takes rows, on a thread of the sampler's own and never on the way of a request.

    Of rows that were taken by the budget it is known to which slices their requests belong, and no more:
    where nothing is sliced they share one request without an id.
    """

    def take(self, rows: SampledRows) -> None:
        """Look at these."""

    def seen(self, record: VersionRecord, rows: int) -> None:
        """So many rows of a version ran since this was last told, sampled or not; those were taken before.

        What can be done for many rows at once is done here.
        """
