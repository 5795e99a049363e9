"""The main job on real input: push, serve, call, watch and replace a classifier of handwritten digits.

    python examples/demo.py

Trains two models, starts the whole suite as real processes on free ports, and stops all of it at the end.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

import headrace
from headrace.service.parent_death import tether

EXAMPLES = Path(__file__).parent
MODEL = "digits"
SAMPLE = 10
CALLERS = 2
STEADY_SECONDS = 1.5
"""How long requests flow before and after the route moves."""

Images = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]


class Steps:
    """Numbered headlines with the time since the start."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._number = 0

    def next(self, text: str) -> None:
        """The next headline."""
        self._number += 1
        print(f"\n[{time.monotonic() - self._started:5.1f} s] {self._number}. {text}", flush=True)


@contextmanager
def running_suite(data: Path) -> Iterator[dict[str, Any]]:
    """`headrace up` on free ports while inside; gives what its ready line says."""
    up = [sys.executable, "-m", "headrace.cli", "up", "--port=0", "--json", f"--data={data}"]
    command = [*tether(), *up]  # the suite ends with this process, even if that is killed
    with (
        (data.parent / "suite.log").open("w") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        try:
            assert process.stdout
            line = process.stdout.readline()
            if not line:
                sys.exit((data.parent / "suite.log").read_text())
            yield json.loads(line)
        finally:
            process.terminate()
            status = process.wait()
    print(f"the suite stopped with status {status}")


class Traffic:
    """Callers that classify held-back images without a pause, and count what they are told."""

    def __init__(self, client: headrace.Client, images: Images) -> None:
        self._client = client
        self._images = images
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.answers: Counter[str] = Counter()
        self.failures: list[headrace.HeadraceError] = []

    def __enter__(self) -> Self:
        self._threads = [threading.Thread(target=self._call) for _ in range(CALLERS)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _call(self) -> None:
        for number in range(10**9):
            if self._stop.is_set():
                return
            image = self._images[number % len(self._images)]
            try:
                answer = self._client.infer(MODEL, {"image": image[None]})
            except headrace.HeadraceError as error:
                self.failures.append(error)
                continue
            with self._lock:
                self.answers[f"version {answer.model_version} ({answer.route})"] += 1


def classify(client: headrace.Client, images: Images, labels: Labels) -> float:
    """Classify all images in batches, print the first few, and give the accuracy."""
    batches = [
        client.infer(MODEL, {"image": images[start : start + 50]}).outputs["label"]
        for start in range(0, len(images), 50)
    ]
    predicted = np.concatenate(batches)
    for wanted, got in list(zip(labels, predicted, strict=True))[:SAMPLE]:
        print(f"   a handwritten {wanted} is read as {got}{'' if wanted == got else '   <- wrong'}")
    accuracy = float((predicted == labels).mean())
    print(f"   accuracy on {len(labels)} held-back images: {accuracy:.1%}")
    return accuracy


def show_progress(report: headrace.Progress) -> None:
    """One line a phase of a push."""
    if report.done_bytes == report.total_bytes:
        print(f"   {report.phase}: {report.done_bytes} bytes", flush=True)


def push(client: headrace.Client, path: Path) -> int:
    """Push a version, wait until every replica serves it, and give its number."""
    version = client.push(MODEL, path, progress=show_progress, timeout_seconds=60)
    client.wait_until_ready(MODEL, version.number, timeout_seconds=60)
    print(f"   {MODEL} version {version.number}, sha256 {version.digest[:12]}…, is served")
    return version.number


def replace(client: headrace.Client, path: Path, images: Images) -> Traffic:
    """Push a better version and move the route to it while requests keep flowing."""
    with Traffic(client, images) as traffic:
        time.sleep(STEADY_SECONDS)
        number = push(client, path)
        client.set_route(MODEL, stable=number)
        print(f"   the route moved to version {number}")
        time.sleep(STEADY_SECONDS)
    for name, count in sorted(traffic.answers.items()):
        print(f"   {count} requests answered by {name}")
    print(f"   {len(traffic.failures)} requests failed")
    return traffic


def show_statistics(client: headrace.Client, wanted: int) -> None:
    """Print what the monitor saw, once it has heard of all requests."""
    deadline = time.monotonic() + 10
    statistics = client.statistics(window_seconds=600, model=MODEL)
    while (
        sum(s.success_count for s in statistics.versions) < wanted and time.monotonic() < deadline
    ):
        time.sleep(0.2)
        statistics = client.statistics(window_seconds=600, model=MODEL)
    print("   version  requests  errors    p50 ms    p99 ms  rows a run")
    for seen in statistics.versions:
        p50, p99 = seen.total.p50_seconds * 1e3, seen.total.p99_seconds * 1e3
        print(
            f"   {seen.version:7d}  {seen.success_count:8d}  {seen.error_count:6d}"
            f"  {p50:8.2f}  {p99:8.2f}  {seen.mean_batch_rows:10.1f}"
        )


def main() -> int:
    """Run the demonstration; the exit status says whether all of it held."""
    steps = Steps()
    with tempfile.TemporaryDirectory(prefix="headrace-demo-") as folder:
        work = Path(folder)
        steps.next("Train two classifiers on real handwritten digits and export them to ONNX")
        subprocess.run([sys.executable, EXAMPLES / "digits" / "train.py", work], check=True)
        images, labels = np.load(work / "heldout_images.npy"), np.load(work / "heldout_labels.npy")
        steps.next("Start the suite: Redis-protocol server, registry, monitor, inference replica")
        with running_suite(work / "suite") as suite:
            print(f"   {json.dumps(suite['pids'])}")
            addresses = {
                "registry": suite["registry"],
                "inference": suite["inference"][0]["grpc"],
                "monitor": suite["monitor"],
            }
            with headrace.Client(**addresses) as client:
                ok = tour(steps, client, work, images, labels)
            steps.next("Stop everything")
    print("\nAll of it held." if ok else "\nSomething did not hold; see above.")
    return 0 if ok else 1


def tour(steps: Steps, client: headrace.Client, work: Path, images: Images, labels: Labels) -> bool:
    """Push, serve, call, replace, watch; whether the answers and the counts are what they should be."""
    steps.next("Push version 1 and wait until it is served")
    push(client, work / "v1" / "model.onnx")
    steps.next("Classify images that no model has seen, over gRPC")
    first = classify(client, images, labels)
    steps.next("Push a better version and move the route to it while requests keep flowing")
    traffic = replace(client, work / "v2" / "model.onnx", images)
    steps.next("Classify the same images again")
    second = classify(client, images, labels)
    steps.next("What the monitor saw")
    show_statistics(client, traffic.answers.total() + 2 * -(-len(images) // 50))
    return not traffic.failures and len(traffic.answers) > 1 and second > first > 0.8


if __name__ == "__main__":
    sys.exit(main())
