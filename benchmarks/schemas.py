"""Measures what enforcing a learnt schema costs a run, by columns and rows, and where nothing is enforced.

    python -m benchmarks.schemas

Times are the best of some repetitions, in microseconds a run.
"""

from __future__ import annotations

import timeit
from collections.abc import Callable

import numpy as np

from headrace.data_profiles.learning import reference_of
from headrace.data_profiles.observed_rows import observed_fields
from headrace.datatypes import Datatype
from headrace.state.records import ServingConfig, Signature, TensorSpec, VersionRecord
from headrace_inference.domain.schemas.checks import SchemaChecks, checks_of
from headrace_inference.domain.schemas.doors import SchemaDoor

COLUMNS, ROWS = (1, 16, 64, 256), (1, 8, 64)
RUNS = 2000
RANDOM = np.random.default_rng(1)


def main() -> None:
    """Print a line for each number of columns."""
    door = SchemaDoor()
    print(f"nothing is enforced: {_microseconds(lambda: door.checks is not None):.3f} us")
    print("columns " + " ".join(f"{rows:>4} rows" for rows in ROWS))
    for columns in COLUMNS:
        checks = _checks(columns)
        times = [_time(checks, rows, columns) for rows in ROWS]
        print(f"{columns:>7} " + " ".join(f"{each:>9.1f}" for each in times))


def _checks(columns: int) -> SchemaChecks:
    sample = RANDOM.normal(size=(1000, columns))
    reference = reference_of(observed_fields({"x": sample}, {}), len(sample))
    enforcement = {field.name: "reject" for field in reference.layout.fields}
    signature = Signature((TensorSpec("x", Datatype.FP32, (-1, columns)),), ())
    version = VersionRecord("m", 1, "", (), "", signature, ServingConfig(), 0.0)
    checks = checks_of(reference, enforcement, version)
    assert checks is not None
    return checks


def _time(checks: SchemaChecks, rows: int, columns: int) -> float:
    inputs = [RANDOM.uniform(-1, 1, size=(rows, columns)).astype(np.float32)]
    assert not checks.violations(inputs)
    return _microseconds(lambda: checks.violations(inputs))


def _microseconds(work: Callable[[], object]) -> float:
    return min(timeit.repeat(work, number=RUNS, repeat=7)) / RUNS * 1e6


if __name__ == "__main__":
    main()
