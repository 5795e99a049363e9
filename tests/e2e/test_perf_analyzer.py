"""Triton's own load generator, the unmodified binary, against the running suite."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from onnx import TensorProto, helper

from benchmarks import models
from tests.e2e.served import FRONTS, Addresses, serving

TOOL = shutil.which(
    "perf_analyzer", path=f"{Path(sys.prefix) / 'perf_analyzer'}:{Path(sys.prefix) / 'bin'}"
) or shutil.which("perf_analyzer")

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.toolchain,
    pytest.mark.skipif(
        TOOL is None,
        reason="perf_analyzer is not installed; `make e2e` does it (scripts/install_perf_analyzer.sh)",
    ),
]

REQUESTS = 200
ONCE = ("--request-count", str(REQUESTS))  # not less than a rate asked for, or the tool refuses
SHORT_WINDOWS = (
    "--measurement-mode",
    "count_windows",
    "--measurement-request-count",
    "50",
    "--stability-percentage",
    "999",
)
"""Ranges need windows; three are always measured, and no spread between them is too wide."""
SHARED_MEMORY = ("--shared-memory", "system", "--output-shared-memory-size", "1024")
TIMEOUT_SECONDS = 60
"""Where an answer lacks what the tool waits for it hangs instead of failing."""
MAX_SHOWN = 2000
"""Letters of what the tool says: after an error it prints all of its help."""

_LEVEL = re.compile(
    r"^(?:Concurrency|Request Rate): (\S+), throughput: (\S+) infer/sec, latency (\d+) usec",
    re.MULTILINE,
)
_FAILURE = re.compile(r"fail|error|Request count: 0$", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Level:
    """What the tool reports of a concurrency or a request rate."""

    level: float
    rate: float
    latency_us: int


@pytest.fixture(scope="module", params=FRONTS)
def suite(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Addresses]:
    """A suite with this option, shared memory and traces that serves the MLP and an identity of texts."""
    folder: Path = tmp_path_factory.mktemp("suite")
    served = {"mlp": models.mlp(), "texts": texts()}
    settings = {
        "HEADRACE_INFERENCE_ALLOW_CLIENT_SHARED_MEMORY": "true",
        "HEADRACE_INFERENCE_TRACE_FILE": str(folder / "traces"),
    }
    with serving(folder, served, [request.param], settings) as addresses:
        yield addresses


def texts() -> bytes:
    """An identity of BYTES [batch, n]."""
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "texts",
        [helper.make_tensor_value_info("x", TensorProto.STRING, ["batch", "n"])],
        [helper.make_tensor_value_info("y", TensorProto.STRING, ["batch", "n"])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


def analyze(suite: Addresses, wire: str, *flags: str, model: str = "mlp") -> list[Level]:
    """Run the tool: it exits with 0, tells of no failure, and reports these levels."""
    address = suite.grpc if wire == "grpc" else suite.http
    assert TOOL
    run = subprocess.run(
        [TOOL, "-m", model, "-i", wire, "-u", address, *flags],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    told = run.stdout + run.stderr
    assert 0 == run.returncode, told[:MAX_SHOWN]
    assert not _FAILURE.search(told), told[:MAX_SHOWN]
    levels = [
        Level(float(level), float(rate), int(latency))
        for level, rate, latency in _LEVEL.findall(run.stdout)
    ]
    assert levels, told[:MAX_SHOWN]
    assert all(level.rate > 0 and level.latency_us > 0 for level in levels)
    return levels


BOTH_WIRES = pytest.mark.parametrize("wire", ["grpc", "http"])


@BOTH_WIRES
@pytest.mark.parametrize(
    "flags",
    [
        pytest.param(("--sync",), id="sync"),
        pytest.param(("--async", "--concurrency-range", "8"), id="async"),
        pytest.param(("-b", "8"), id="batches"),
        pytest.param(("--request-rate-range", "200"), id="rate"),
        pytest.param(("-x", "1", "--input-data", "zero"), id="version"),
    ],
)
def test_one_level(suite: Addresses, wire: str, flags: Sequence[str]) -> None:
    """Each way to make load is served on either wire without a failure."""
    assert 1 == len(analyze(suite, wire, *flags, *ONCE))


@BOTH_WIRES
@pytest.mark.parametrize(
    ("flags", "levels"),
    [
        (("--concurrency-range", "1:2"), [1, 2]),
        (("--async", "--concurrency-range", "8:64:56", "-b", "4"), [8, 64]),
        (("--request-rate-range", "200:400:200"), [200, 400]),
    ],
)
def test_ranges(suite: Addresses, wire: str, flags: Sequence[str], levels: list[float]) -> None:
    """Every level of a range of concurrencies or rates is reported."""
    measured = analyze(suite, wire, *flags, *SHORT_WINDOWS)
    assert levels == [level.level for level in measured]


@BOTH_WIRES
def test_strings(suite: Addresses, wire: str) -> None:
    """Random texts are served."""
    analyze(suite, wire, "--shape", "x:5", "--string-length", "20", *ONCE, model="texts")


@pytest.mark.parametrize(("given", "wanted"), [("binary", "json"), ("json", "binary")])
def test_forms_of_tensors(suite: Addresses, given: str, wanted: str) -> None:
    """Over HTTP tensors may go as binary data or as JSON, each way on its own."""
    forms = ("--input-tensor-format", given, "--output-tensor-format", wanted)
    analyze(suite, "http", *forms, *ONCE)


@pytest.mark.parametrize(
    "flags",
    [
        ("--grpc-compression-algorithm", "gzip"),
        ("--request-parameter", "max_tokens:256:int"),
        ("--request-rate-range", "200", "--request-distribution", "poisson"),
    ],
)
def test_what_only_grpc_has(suite: Addresses, flags: Sequence[str]) -> None:
    """Requests over gRPC may be packed, bring parameters of their own, and come in bursts."""
    analyze(suite, "grpc", *flags, *ONCE)


@pytest.mark.parametrize(
    "flags",
    [
        (),
        ("--concurrency-range", "8"),
        ("-b", "8"),
        ("--request-rate-range", "200"),
        SHARED_MEMORY,
    ],
)
def test_streams(suite: Addresses, flags: Sequence[str]) -> None:
    """Requests over streams are served, and each answer is told to be final."""
    analyze(suite, "grpc", "--async", "--streaming", *flags, *ONCE)


@BOTH_WIRES
@pytest.mark.parametrize("flags", [("--sync",), ("--async", "-b", "4")])
def test_shared_memory(suite: Addresses, wire: str, flags: Sequence[str]) -> None:
    """Inputs and outputs may lie in shared memory."""
    analyze(suite, wire, *SHARED_MEMORY, *flags, *ONCE)


@BOTH_WIRES
def test_traces(suite: Addresses, wire: str) -> None:
    """The tool may set what is traced."""
    traces = ("--trace-level", "TIMESTAMPS", "--trace-rate", "10", "--trace-count", "5")
    analyze(suite, wire, *traces, *ONCE)


def test_what_the_server_says(suite: Addresses, tmp_path: Path) -> None:
    """The tool reads the server's own durations into its report."""
    report = tmp_path / "report.csv"
    analyze(suite, "grpc", "-f", str(report), *ONCE)
    titles, values = (line.split(",") for line in report.read_text().splitlines()[:2])
    told = dict(zip(titles, values, strict=True))
    assert int(told["Server Compute Infer"]) > 0
    assert int(told["Server Queue"]) >= 0
