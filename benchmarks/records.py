"""What do records of the shared state cost to read and write? Processor time, and memory.

    python -m benchmarks.records [--records 2000]

Reading includes looking for fields that this code does not know. The records are those of `growth.py`.
Times are the best of several rounds, of one thread's processor time.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from collections.abc import Callable, Sequence

from benchmarks.catalogs import CatalogSize, Seed
from benchmarks.figures import Figure
from headrace.state import reader
from headrace.state.catalog import Catalog
from headrace.state.changes import decode_change, encode_change
from headrace.state.codec import decode, decode_part, encode_sparse
from headrace.state.records import ModelRecord, VersionRecord

_ROUNDS = 7


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=2000)
    count = parser.parse_args().records
    decisions = list(Seed(CatalogSize(count, 1)).decisions())
    changes = [decision.change("") for decision in decisions]
    entries = [encode_change(change) for change in changes]
    read = [decode_change(entry) for entry in entries]
    models = [encode_sparse(one) for each in decisions for one in each.models.values()]
    versions = [encode_sparse(one) for each in decisions for one in each.versions.values()]

    def apply() -> None:
        catalog = Catalog(decisions[0].revision - 1)
        for change in read:
            catalog = reader.apply(catalog, change)

    def timed(name: str, work: Callable[[], object]) -> Figure:
        return Figure(name, _best(work) / count * 1e6, "µs")

    print(f"{count:,} models with a version each")
    print(
        timed("read a model", lambda: [decode(ModelRecord, one) for one in models]),
        timed("without unknown fields", lambda: [decode_part(ModelRecord, one) for one in models]),
        timed("read a version", lambda: [decode(VersionRecord, one) for one in versions]),
        timed(
            "without unknown fields", lambda: [decode_part(VersionRecord, one) for one in versions]
        ),
        timed("read the entry of a push", lambda: [decode_change(entry) for entry in entries]),
        timed("write it", lambda: [encode_change(change) for change in changes]),
        timed("apply it to a catalog", apply),
        Figure("memory of a model", _memory(models) / count, "B"),
        sep="\n",
    )


def _best(work: Callable[[], object]) -> float:
    times = []
    for _ in range(_ROUNDS):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return min(times)


def _memory(models: Sequence[bytes]) -> int:
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    held = [decode(ModelRecord, one) for one in models]
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return after - before if held else 0


if __name__ == "__main__":
    main()
