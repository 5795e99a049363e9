"""Declares every measure of telemetry: its name, kind, unit, meaning and Prometheus name.

A new measure is an entry here and a line where it is produced: replicas send it by its name, the monitor
stores, sums and answers it, and Prometheus sees it under `metric`. Names and kinds never change, since they
are stored and sent; a measure with another meaning gets another name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from headrace.telemetry.histogram import Histogram
from headrace.telemetry.parts import plain_key

MAX_NAME_LENGTH = 64
NAME_PATTERN = r"[a-z][a-z0-9_]{0,63}"

Value = int | Mapping[str, int] | Mapping[int, int] | Histogram
V_co = TypeVar("V_co", bound=Value, covariant=True)


class Kind(StrEnum):
    """The ways in which values add up; a new kind, a gauge or a sketch, say, is an entry here."""

    COUNTER = "c"
    """One count."""
    LABELS = "l"
    """Counts by a label, such as the reason of an error."""
    SIZES = "s"
    """Counts by a whole number, such as the rows of a batch."""
    HISTOGRAM = "h"
    """Durations by bucket."""


_KINDS = {kind.value: kind for kind in Kind}


@dataclass(frozen=True, slots=True, eq=False)
class Measure(Generic[V_co]):
    """One measure; `key` is its kind and name, by which tallies hold its values."""

    key: str
    unit: str
    help: str
    metric: str = ""
    """Its name in Prometheus, without a suffix such as _total; '' where it is not exported."""
    label: str = ""
    """The label's name in Prometheus, of counts by label."""
    sparse: bool = False
    """Exported only of versions that counted it."""

    @property
    def name(self) -> str:
        """Its name in messages."""
        return name_of(self.key)

    @property
    def kind(self) -> Kind:
        """Return how its values add up."""
        return kind_of(self.key)


def key_of(kind: Kind, name: str) -> str:
    """Build the key of a measure, known or not."""
    return f"{kind.value}:{name}"


def kind_of(key: str) -> Kind:
    """Read the kind from a key."""
    return _KINDS[key[0]]


def name_of(key: str) -> str:
    """Read the name from a key."""
    return plain_key(key)[2:]


SUCCESSES: Measure[int] = Measure("c:success_count", "requests", "Requests answered well.")
ROWS: Measure[int] = Measure(
    "c:row_count", "rows", "Rows in requests answered well.", "headrace_rows"
)
EXECUTIONS: Measure[int] = Measure(
    "c:execution_count", "runs", "Runs of the model.", "headrace_executions"
)
ERRORS: Measure[Mapping[str, int]] = Measure(
    "l:error_counts",
    "requests",
    "Requests answered with an error, by its reason.",
    "headrace_request_errors",
    label="reason",
)
ROUTES: Measure[Mapping[str, int]] = Measure(
    "l:route_counts", "requests", "Requests answered well, by why this version answered."
)
BATCHES: Measure[Mapping[int, int]] = Measure(
    "s:batch_counts", "rows", "Rows in a batch.", "headrace_batch_rows"
)
TOTAL_TIME: Measure[Histogram] = Measure(
    "h:total",
    "nanoseconds",
    "From reception to answer, of requests answered well.",
    "headrace_request_duration_seconds",
)
QUEUE_TIME: Measure[Histogram] = Measure(
    "h:queue",
    "nanoseconds",
    "Of which waiting for a free instance.",
    "headrace_request_queue_duration_seconds",
)
COMPUTE_TIME: Measure[Histogram] = Measure(
    "h:compute",
    "nanoseconds",
    "Of which running.",
    "headrace_request_compute_duration_seconds",
)
FAILED_TIME: Measure[Histogram] = Measure(
    "h:failed",
    "nanoseconds",
    "From reception to the error, of requests answered with one.",
    "headrace_request_error_duration_seconds",
    sparse=True,
)
ROW_CAPACITY: Measure[int] = Measure(
    "c:row_capacity",
    "rows",
    "Rows that the runs of the model had room for: divide the rows of batches by it.",
    "headrace_row_capacity",
    sparse=True,
)
SCHEMA_VIOLATIONS: Measure[Mapping[str, int]] = Measure(
    "l:schema_violations",
    "rows",
    "Rows that differ from what was learnt of the version's data, by field, of fields that flag or reject.",
    "headrace_schema_violations",
    label="field",
    sparse=True,
)
LOAD_TIME: Measure[Histogram] = Measure(
    "h:load_time",
    "nanoseconds",
    "From the start of a load until the version is ready: fetching, opening, warming.",
    "headrace_load_duration_seconds",
    sparse=True,
)

PROMPT_TOKENS: Measure[Mapping[str, int]] = Measure(
    "l:prompt_tokens",
    "tokens",
    "Tokens of prompts of generations that ended, by why this version answered.",
    "headrace_prompt_tokens",
    label="route",
    sparse=True,
)
GENERATED_TOKENS: Measure[Mapping[str, int]] = Measure(
    "l:generated_tokens",
    "tokens",
    "Tokens that were generated, by why this version answered.",
    "headrace_generated_tokens",
    label="route",
    sparse=True,
)
REUSED_PROMPT_TOKENS: Measure[int] = Measure(
    "c:reused_prompt_tokens",
    "tokens",
    "Of the tokens of prompts, those that were not computed again.",
    "headrace_reused_prompt_tokens",
    sparse=True,
)
PREFIX_HITS: Measure[int] = Measure(
    "c:prefix_hits",
    "generations",
    "Generations whose prompt began as an earlier one did, so that it was not all computed again.",
    "headrace_prefix_hits",
    sparse=True,
)
FINISH_REASONS: Measure[Mapping[str, int]] = Measure(
    "l:finish_reasons",
    "answers",
    "Answers by why they ended: stop, length; generations that failed by abort or error.",
    "headrace_generations_finished",
    label="reason",
    sparse=True,
)
FIRST_TOKEN_TIME: Measure[Histogram] = Measure(
    "h:first_token",
    "nanoseconds",
    "From reception to the first token that was generated.",
    "headrace_first_token_duration_seconds",
    sparse=True,
)
TOKEN_GAP: Measure[Histogram] = Measure(
    "h:between_tokens",
    "nanoseconds",
    "From one token of an answer to its next.",
    "headrace_between_tokens_duration_seconds",
    sparse=True,
)

CPU_TIME: Measure[int] = Measure(
    "c:cpu_time_us",
    "microseconds",
    "Processor time of its replicas, shared among versions by how long their runs took.",
    "headrace_cpu_microseconds",
    sparse=True,
)
ENERGY: Measure[Mapping[str, int]] = Measure(
    "l:energy_mj",
    "millijoules",
    "Energy, shared the same way, by how it was got: nvml, rapl, or model, which is processor time times a "
    "setting.",
    "headrace_energy_millijoules",
    label="source",
    sparse=True,
)

MEASURES: tuple[Measure[Value], ...] = (
    SUCCESSES,
    ROWS,
    EXECUTIONS,
    ERRORS,
    ROUTES,
    BATCHES,
    TOTAL_TIME,
    QUEUE_TIME,
    COMPUTE_TIME,
    FAILED_TIME,
    ROW_CAPACITY,
    SCHEMA_VIOLATIONS,
    LOAD_TIME,
    PROMPT_TOKENS,
    GENERATED_TOKENS,
    REUSED_PROMPT_TOKENS,
    PREFIX_HITS,
    FINISH_REASONS,
    FIRST_TOKEN_TIME,
    TOKEN_GAP,
    CPU_TIME,
    ENERGY,
)
"""All measures, in the order of /metrics."""

BY_NAME: Mapping[str, Measure[Value]] = {measure.name: measure for measure in MEASURES}
