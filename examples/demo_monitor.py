"""The monitor on real input: drift of a field in one slice, an alert by webhook, quality by late labels.

    python examples/demo_monitor.py

Two cameras send handwritten digits, until a pixel of one of them is stuck. The monitor says which field
moved, for which camera, and since when; labels, which come later, say what it did to the answers.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import headrace
from headrace.client import DriftFinding, Label
from headrace.service.parent_death import tether

EXAMPLES = Path(__file__).parent
MODEL = "digits"
CAMERAS = ("north", "south")
BROKEN = "header x-camera=north"
STUCK = (3, 3)
FIELD = "input image[27]"
"""Row 3, column 3 of 8 x 8 pixels."""
QUIET_ROUNDS = 3_000
"""Images of each camera before the pixel is stuck: what a slice is usually like is learnt from 1,000."""
MAX_SECONDS = 45.0
"""How long to wait for what the monitor has to find."""
SETTINGS = {
    "HEADRACE_SLICE_BY": "header:x-camera",
    "HEADRACE_LABEL_SHARE": "1",
    "HEADRACE_PREDICTION_RATE": "10000",
    "HEADRACE_DRIFT_FIRST_ROWS": "1000",
    "HEADRACE_DRIFT_LEARNING_MINUTES": "0",
}
"""Learn fast and keep every answer: a demonstration has no day to wait."""
RULES = """
[[receivers]]
name = "here"
kind = "webhook"
url = "http://127.0.0.1:{port}/alerts"
"""


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
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, text=True, env=os.environ | SETTINGS
        ) as process,
    ):
        try:
            assert process.stdout
            line = process.stdout.readline()
            if not line:
                sys.exit((data.parent / "suite.log").read_text())
            yield json.loads(line)
        finally:
            process.terminate()
            print(f"the suite stopped with status {process.wait()}")


@contextmanager
def receiver(told: list[dict[str, Any]]) -> Iterator[int]:
    """A server that takes what a webhook posts while inside; its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told.append(json.loads(body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Requests are shown by the demonstration."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


class Cameras:
    """Callers that send an image at a time under an id of its own, and know what is in it."""

    def __init__(self, client: headrace.Client, images: Images, labels: Labels) -> None:
        self._client = client
        self._images, self._labels = images, labels
        self._random = np.random.default_rng(7)
        self.truth: dict[str, int] = {}
        self.right = dict.fromkeys(CAMERAS, 0)

    @property
    def sent(self) -> int:
        """Requests so far, of both cameras."""
        return len(self.truth)

    def send(self, *, stuck: bool) -> None:
        """One image of each camera; the pixel of the first is white if it is stuck."""
        for camera in CAMERAS:
            number = int(self._random.integers(len(self._images)))
            image = self._images[number][None].copy()
            if stuck and camera == CAMERAS[0]:
                image[0, *STUCK] = 16
            name = f"{camera}-{self.sent}"
            headers = {"x-camera": camera}
            answer = self._client.infer(MODEL, {"image": image}, headers=headers, request_id=name)
            self.truth[name] = int(self._labels[number])
            self.right[camera] += int(answer["label"][0] == self._labels[number])

    def send_until(self, found: Callable[[], bool], *, stuck: bool) -> bool:
        """Go on until something is found; whether it was in time."""
        deadline = time.monotonic() + MAX_SECONDS
        while not found() and time.monotonic() < deadline:
            for _ in range(100):
                self.send(stuck=stuck)
        return found()


def push(client: headrace.Client, path: Path, samples: Images) -> int:
    """Push the version with what its input is usually like."""
    version = client.push(MODEL, path)
    made = client.set_reference(
        MODEL, version.number, {"image": samples}, origin="held-back images"
    )
    client.wait_until_ready(MODEL, version.number, timeout_seconds=60)
    print(f"   {MODEL} version {version.number} is served; its reference is of {made.rows} images")
    return version.number


def is_learnt(client: headrace.Client) -> bool:
    """Whether each camera's first images, and the reference for all, are compared with."""
    slices = ["", *(f"header x-camera={each}" for each in CAMERAS)]
    return all(
        any(each.source for each in client.drift(MODEL, slice_name=name).versions)
        for name in slices
    )


def finding(client: headrace.Client) -> DriftFinding | None:
    """What was found of the stuck pixel, in images of the camera that has it."""
    found = client.drift(MODEL, slice_name=BROKEN)
    findings = [
        each for version in found.versions for field in version.fields for each in field.findings
    ]
    return next((each for each in findings if each.field == FIELD), None)


def show_drift(client: headrace.Client) -> bool:
    """Print what moved where; whether that is the pixel, and nothing in images of the other camera."""
    for version in client.drift(MODEL).versions:
        for cause in version.causes:
            where, not_where = (
                ", ".join(name or "all images" for name in names)
                for names in (cause.moved, cause.unmoved)
            )
            print(f"   {cause.field} moved in {where}; not in {not_where or 'none'}")
    found = finding(client)
    if found is None:
        return False
    print(
        f"   {found.field} in {BROKEN}: {found.change}, PSI {found.effects.psi:.2f}, of {found.rows} images"
    )
    others = client.drift(MODEL, slice_name=f"header x-camera={CAMERAS[1]}").versions
    return not any(
        field.findings and field.field == FIELD for each in others for field in each.fields
    )


def show_alerts(told: list[dict[str, Any]]) -> bool:
    """Print what the webhook was told; whether the pixel is in it."""
    for notification in told:
        for alert in notification["alerts"]:
            print(
                f"   {alert['state']} {alert['severity']} {notification['rule']}: {alert['summary']}"
            )
    return is_told(told)


def is_told(told: list[dict[str, Any]]) -> bool:
    """Whether the webhook was told of the stuck pixel."""
    return FIELD in json.dumps(told)


def show_quality(client: headrace.Client, cameras: Cameras) -> bool:
    """Tell the truth about all images, and print how right the answers were; whether that is exact."""
    deadline = time.monotonic() + MAX_SECONDS
    while time.monotonic() < deadline:
        kept = client.quality(MODEL, slice_name="").qualities
        if sum(each.predictions for each in kept) == cameras.sent:
            break
        time.sleep(0.5)
    counts = client.record_labels(
        MODEL, (Label(name, str(truth)) for name, truth in cameras.truth.items())
    )
    print(f"   {counts.joined} of {cameras.sent} labels joined with an answer")
    right = True
    for camera in CAMERAS:
        for quality in client.quality(MODEL, slice_name=f"header x-camera={camera}").qualities:
            accuracy = quality.figure("accuracy")
            assert accuracy is not None
            print(
                f"   {camera}: accuracy {accuracy.value:.4f} ({accuracy.low:.4f} to {accuracy.high:.4f})"
                f" of {accuracy.count} images"
            )
            right &= round(accuracy.value * accuracy.count) == cameras.right[camera]
    return right and counts.joined == cameras.sent


def tour(steps: Steps, client: headrace.Client, work: Path) -> bool:
    """All of it; whether it held."""
    images, labels = np.load(work / "heldout_images.npy"), np.load(work / "heldout_labels.npy")
    told: list[dict[str, Any]] = []
    with receiver(told) as port:
        steps.next("Push a version with a reference, and have alerts told to a webhook here")
        push(client, work / "v1" / "model.onnx", images)
        client.apply_alert_rules(RULES.format(port=port))
        steps.next("Two cameras send digits, as usual")
        cameras = Cameras(client, images, labels)
        for _ in range(QUIET_ROUNDS):
            cameras.send(stuck=False)
        learnt = cameras.send_until(lambda: is_learnt(client), stuck=False)
        print(f"   {cameras.sent} images; nothing is told: {not told}")
        quiet = learnt and not told
        steps.next(f"A pixel of the {CAMERAS[0]} camera is stuck at white")
        began = time.monotonic()
        alerted = cameras.send_until(
            lambda: is_told(told) and finding(client) is not None, stuck=True
        )
        print(
            f"   told {time.monotonic() - began:.0f} s later" if alerted else "   nobody was told"
        )
        show_alerts(told)
        steps.next("Which field, and in which slice?")
        named = show_drift(client)
        steps.next("The truth becomes known: labels by the ids of requests")
        exact = show_quality(client, cameras)
    return quiet and alerted and named and exact


def main() -> int:
    """Run the demonstration; the exit status says whether all of it held."""
    steps = Steps()
    with tempfile.TemporaryDirectory(prefix="headrace-demo-") as folder:
        work = Path(folder)
        steps.next("Train a classifier of real handwritten digits and export it to ONNX")
        script = EXAMPLES / "digits" / "train.py"
        train = [sys.executable, str(script), str(work), "--only", "v1"]
        subprocess.run(train, check=True)
        steps.next("Start the suite; requests are told apart by the header x-camera")
        with running_suite(work / "suite") as suite:
            print(f"   the console is at http://{suite['monitor_http']}")
            addresses = {
                "registry": suite["registry"],
                "inference": suite["inference"][0]["grpc"],
                "monitor": suite["monitor"],
            }
            with headrace.Client(**addresses) as client:
                ok = tour(steps, client, work)
            steps.next("Stop everything")
    print("\nAll of it held." if ok else "\nSomething did not hold; see above.")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
