"""An empty native front: answers every ModelInfer with the same bytes. The ceiling for a front in Python.

    python benchmarks/empty_front.py ANSWER_FILE

Prints its address when it serves; ends when standard input does.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from pygrpc_native import EVENT_CALL, NativeGrpcFront

from headrace_inference.adapters.runtime.cores import usable_cores
from headrace_inference.wire.native.server import MODEL_INFER, io_threads


def serve(front: NativeGrpcFront, answer: bytes) -> None:
    """Answer bursts until the front is closed."""
    while (events := front.recv_batch_details(512, None)) is not None:
        for event in events:
            if event[0] == EVENT_CALL:
                front.respond(event[1], answer)


def main() -> None:
    """Serve until standard input ends."""
    answer = Path(sys.argv[1]).read_bytes()
    threads = io_threads(usable_cores())  # the package as a replica uses it
    front = NativeGrpcFront(
        "127.0.0.1:0", [(MODEL_INFER, False)], io_threads=threads, call_details=True
    )
    front.start()
    thread = threading.Thread(target=serve, args=(front, answer))
    thread.start()
    print(f"127.0.0.1:{front.bound_port}", flush=True)
    sys.stdin.read()
    front.close()
    thread.join()


if __name__ == "__main__":
    main()
