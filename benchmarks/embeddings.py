"""How much of bare ONNX Runtime's rate of embeddings does a suite reach, and at what CPU a text?

    python -m benchmarks.embeddings [--folder DIR] [--rounds N] [--texts N]

The same texts of mixed lengths go, in turns, through ONNX Runtime alone (as tokens, sorted by length, at
the batch that is fastest), through the version's engine in this process, and through the REST port of a
suite, as calls of one text and as calls of many. Each gets all cores. Ratios are to the better of the two
bare ways, medians of rounds; CPU is that of the process that runs the graph, all of its threads.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnxruntime

from benchmarks.sides import HERE, Side, open_suite_of
from headrace.errors import HeadraceError
from headrace.state.records import ServingConfig, Signature, VersionRecord
from headrace_inference.adapters.encoding.open_encoder import OpenModel, open_encoder
from headrace_inference.adapters.runtime.defaults import RuntimeDefaults
from headrace_inference.adapters.system_clock import SYSTEM_CLOCK
from headrace_inference.domain.encoding.requests import EncodingCall, EncodingRequest, Vectors
from headrace_inference.domain.scheduling.watchdog import RunWatchdog
from tests.language.tiny_encoders import write_minilm

MODEL = "encoder"
BATCHES = (1, 2, 4, 8, 16, 32, 64)
WORDS = (
    "the",
    "of",
    "river",
    "cat",
    "engine",
    "measures",
    "quick",
    "zebras",
    "over",
    "bread",
    "again",
)


@dataclass
class Way:
    """A way to have all texts embedded; `cpu` tells the seconds that its process has used."""

    name: str
    embed: Callable[[], None]
    cpu: Callable[[], float]
    rates: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)

    def measure(self, texts: int) -> None:
        """One round."""
        cpu, began = self.cpu(), time.perf_counter()
        self.embed()
        self.rates.append(texts / (time.perf_counter() - began))
        self.cpu_ms.append((self.cpu() - cpu) / texts * 1e3)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="an encoder's folder; default: MiniLM's size")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--texts", type=int, default=256)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or write_minilm(Path(temporary) / "encoder")
        with ways(folder, Path(temporary), sentences(options.texts)) as all_ways:
            for _ in range(options.rounds):
                for way in all_ways:
                    way.measure(options.texts)
            print(report(all_ways))


def sentences(count: int) -> list[str]:
    """Texts of 4 to some 120 words, most of them short, as questions and passages are."""
    random = np.random.default_rng(3)
    lengths = np.clip(random.lognormal(3.2, 0.7, count), 4, 120).astype(int)
    return [" ".join(random.choice(WORDS, length)) for length in lengths]


@contextlib.contextmanager
def ways(folder: Path, temporary: Path, texts: Sequence[str]) -> Iterator[list[Way]]:
    """All ways, ready; bare ONNX Runtime is the first."""
    with (
        open_suite_of("suite", HERE, temporary / "suite", ["--replicas=1"]) as suite,
        engine(folder) as model,
    ):
        version = suite.client.push(MODEL, folder)
        suite.client.wait_until_ready(MODEL, version.number, timeout_seconds=120)
        tokens = model.codec.encode_texts(texts)
        side = suite.side
        yield [
            *bare(folder, tokens),
            Way(
                "engine, one call of all",
                lambda: embed_in_engine(model, [tokens]),
                time.process_time,
            ),
            Way(
                "engine, calls of one",
                lambda: embed_in_engine(model, [[one] for one in tokens]),
                time.process_time,
            ),
            Way("REST, 4 calls of 32", lambda: embed_by_rest(side, texts, 32, 4), cpu_of(side)),
            Way("REST, 16 calls of one", lambda: embed_by_rest(side, texts, 1, 16), cpu_of(side)),
        ]


def bare(folder: Path, tokens: Sequence[Sequence[int]]) -> list[Way]:
    """ONNX Runtime alone at its best batch: with threads that wait awake, as it has them, and asleep."""
    ordered = sorted(tokens, key=len)
    found = []
    for waiting, spins in (("awake", "1"), ("asleep", "0")):
        session = _session(folder, spins)
        embeds = {batch: _embedding(session, ordered, batch) for batch in BATCHES}
        best = min(BATCHES, key=lambda batch: min(_seconds(embeds[batch]) for _ in range(2)))
        name = f"bare, batches of {best}, threads {waiting}"
        found.append(Way(name, embeds[best], time.process_time))
    return found


def _session(folder: Path, spins: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = RuntimeDefaults().cores
    options.add_session_config_entry("session.intra_op.allow_spinning", spins)
    return onnxruntime.InferenceSession(str(folder / "model.onnx"), options)


def _embedding(
    session: onnxruntime.InferenceSession, ordered: Sequence[Sequence[int]], batch: int
) -> Callable[[], None]:
    names = {one.name for one in session.get_inputs()}

    def embed() -> None:
        for begin in range(0, len(ordered), batch):
            run(session, names, ordered[begin : begin + batch])

    return embed


def _seconds(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def run(
    session: onnxruntime.InferenceSession, names: set[str], texts: Sequence[Sequence[int]]
) -> Vectors:
    """Pad to the longest, run, and take the mean of each text's tokens."""
    length = max(map(len, texts))
    ids = np.zeros((len(texts), length), np.int64)
    mask = np.zeros((len(texts), length), np.int64)
    for row, text in enumerate(texts):
        ids[row, : len(text)], mask[row, : len(text)] = text, 1
    feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    output = session.run(None, {name: feeds[name] for name in names})[0]
    pooled = np.stack(
        [row[: len(text)].mean(axis=0) for row, text in zip(output, texts, strict=True)]
    )
    vectors: Vectors = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
    return vectors


@contextlib.contextmanager
def engine(folder: Path) -> Iterator[OpenModel]:
    """The version's engine in this process."""
    record = VersionRecord(
        MODEL, 1, "0" * 64, (), "model.onnx", Signature((), ()), ServingConfig(), 0.0
    )
    opened = open_encoder(folder / "model.onnx", record, RuntimeDefaults(), SYSTEM_CLOCK)
    model = opened.start_encoder(RunWatchdog(SYSTEM_CLOCK))
    try:
        yield model
    finally:
        model.encoder.stop()
        opened.close()


class _Countdown:
    """The sink of many calls, which waits for the last."""

    def __init__(self, calls: int) -> None:
        self._left = calls
        self._lock = threading.Lock()
        self.over = threading.Event()

    def encoded(self, _: Vectors) -> None:
        with self._lock:
            self._left -= 1
            if not self._left:
                self.over.set()

    def failed(self, error: HeadraceError) -> None:
        raise error


def embed_in_engine(model: OpenModel, calls: Sequence[Sequence[Sequence[int]]]) -> None:
    """Have all calls answered."""
    sink = _Countdown(len(calls))
    for texts in calls:
        call = EncodingCall(EncodingRequest(texts), sink, "stable", SYSTEM_CLOCK.monotonic_ns())
        model.encoder.submit(call)
    sink.over.wait()


def embed_by_rest(side: Side, texts: Sequence[str], size: int, in_flight: int) -> None:
    """Send calls of so many texts, so many at a time."""
    bodies = [
        json.dumps(
            {"model": MODEL, "input": texts[begin : begin + size]} | {"encoding_format": "base64"}
        )
        for begin in range(0, len(texts), size)
    ]
    with ThreadPoolExecutor(in_flight) as threads:
        for answered in threads.map(_sender(side.http), bodies):
            assert answered


def _sender(address: str) -> Callable[[str], int]:
    local = threading.local()

    def send(body: str) -> int:
        if not hasattr(local, "connection"):
            local.connection = http.client.HTTPConnection(address)
        local.connection.request("POST", "/v1/embeddings", body)
        response = local.connection.getresponse()
        answer: bytes = response.read()
        assert response.status == 200, answer
        return answer.count(b'"embedding":')

    return send


def cpu_of(side: Side) -> Callable[[], float]:
    """The CPU of the serving process."""
    ticks = os.sysconf("SC_CLK_TCK")

    def seconds() -> float:
        fields = Path(f"/proc/{side.pids[0]}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / ticks

    return seconds


def report(all_ways: Sequence[Way]) -> str:
    """A table: medians, and the medians of the ratios to the better of the two bare ways, by rounds."""
    first, second = all_ways[:2]
    best_rates = [max(pair) for pair in zip(first.rates, second.rates, strict=True)]
    best_cpu = [min(pair) for pair in zip(first.cpu_ms, second.cpu_ms, strict=True)]
    lines = [f"{'':36}{'texts/s':>10}{'of best':>9}{'CPU ms/text':>13}{'of best':>9}"]
    for way in all_ways:
        rate = statistics.median(a / b for a, b in zip(way.rates, best_rates, strict=True))
        cpu = statistics.median(a / b for a, b in zip(way.cpu_ms, best_cpu, strict=True))
        rates, cpu_ms = statistics.median(way.rates), statistics.median(way.cpu_ms)
        lines.append(f"{way.name:36}{rates:>10.1f}{rate:>9.2f}{cpu_ms:>13.2f}{cpu:>9.2f}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
