"""Runs a batch that kills itself with -9 at the given flush to the disk; 0: at none.

python -m tests.unit.headrace.lifecycle.batches.killed INPUT OUTPUT FLUSH
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import sys

from headrace.lifecycle.batches import run_batch
from tests.unit.headrace.lifecycle.batches.served import Counter, client_of


def main(source: str, output: str, flush: int) -> None:
    """Run the batch."""
    flushes, real = itertools.count(1), os.fsync

    def fsync(opened: int) -> None:
        if next(flushes) == flush:
            os.kill(os.getpid(), signal.SIGKILL)
        real(opened)

    os.fsync = fsync  # type: ignore[assignment]  # of this process alone, which is there for it
    asyncio.run(run_batch(client_of(Counter()), "counter", source, output, rows_per_part=5))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
