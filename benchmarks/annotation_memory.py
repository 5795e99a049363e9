"""What annotations cost a registry: memory, bytes in Redis, and time to read them at its start.

    python -m benchmarks.annotation_memory [--versions N] [--metrics N]

Records of so many versions, with so many metrics each, are written as the shared state has them, and read
as a registry does. A replica leaves them out: what it holds of them is nothing.
"""

from __future__ import annotations

import argparse
import random
import time
import tracemalloc

from headrace.state.annotation_records import AnnotationRecord, Lineage, Metric
from headrace.state.codec import decode, encode_sparse
from headrace.state.persistent_map import PersistentMap

SLICES = 5


def main() -> None:
    """Print what they cost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--versions", type=int, default=10_000)
    parser.add_argument("--metrics", type=int, default=50)
    asked = parser.parse_args()
    stored = [_stored(number, asked.metrics) for number in range(asked.versions)]
    tracemalloc.start()
    held = PersistentMap({each.name: each for each in _read(stored)})
    took_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    started = time.process_time()
    _read(stored)
    seconds = time.process_time() - started
    print(f"{len(held)} versions with {asked.metrics} metrics")
    print(
        f"registry: {took_bytes / 1e6:.0f} MB, {took_bytes / asked.versions / 1e3:.1f} kB a version"
    )
    print(f"Redis: {sum(map(len, stored)) / 1e6:.0f} MB")
    print(f"read in {seconds:.2f} s of CPU, {seconds / asked.versions * 1e6:.0f} us a version")


def _read(stored: list[bytes]) -> list[AnnotationRecord]:
    return [decode(AnnotationRecord, each) for each in stored]


def _stored(number: int, metrics: int) -> bytes:
    chance = random.Random(number)
    digest = f"{number:064x}"
    measured = tuple(
        Metric(
            f"metric_{place}",
            chance.random(),
            f"region=r{place % SLICES}",
            digest,
            "test-2016.csv",
            chance.random(),
            chance.random(),
            0.95,
            10_000,
            1.79e9 + chance.random(),
        )
        for place in range(metrics)
    )
    made = Lineage(1, "train", source_revision=f"{number:040x}")
    return encode_sparse(
        AnnotationRecord("m", number, {"team": "a"}, "", measured, made, (), 1.0, number)
    )


if __name__ == "__main__":
    main()
