"""The clients in other languages, as people build and call them, against the running suite."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from classifiers import train_logistic_regression
from export import build_model
from images import load_split

import headrace
from tests.e2e.served import Addresses, serving

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "clients"
BUILDS = ROOT / "build" / "clients"
"""Kept for the next run, which builds only what has changed."""
INSTALLED = Path(sys.prefix) / "clients"
"""Where scripts/install_clients.sh installs."""
BUILD_SECONDS = 500
RUN_SECONDS = 30
JARS = Path("/usr/share/java")
UNKNOWN = "Request for unknown model: 'nope' is not found"

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(BUILD_SECONDS + RUN_SECONDS)]


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Addresses]:
    """A suite that serves `digits`, also by the alias `champion`."""
    training, _ = load_split()
    _, layers = train_logistic_regression(training)
    graph = build_model(layers, "Handwritten digits").SerializeToString()
    folder: Path = tmp_path_factory.mktemp("suite")
    with serving(folder, {"digits": graph}) as addresses:
        with headrace.Client(registry=addresses.registry) as client:
            client.alias("digits", "champion", 1)
        yield addresses


def need(programs: Sequence[str] = (), paths: Sequence[Path] = ()) -> None:
    """Skip the test where one of these programs or files is missing."""
    missing = [program for program in programs if shutil.which(program) is None]
    missing += [str(path) for path in paths if not path.exists()]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}; `make e2e` installs what it can")


def build(*command: str | Path) -> None:
    """Run a step of a build."""
    run = subprocess.run(
        command, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False
    )
    assert 0 == run.returncode, run.stdout + run.stderr


def built_go() -> list[str | Path]:
    """The client in Go, with Debian's libraries."""
    need(["go", "protoc", "protoc-gen-go"], [Path("/usr/share/gocode/src/google.golang.org/grpc")])
    build(EXAMPLES / "go" / "build.sh", BUILDS / "go")
    return [BUILDS / "go" / "classify"]


def built_cpp() -> list[str | Path]:
    """The client in C++, with Debian's libraries."""
    need(["cmake", "g++", "protoc", "grpc_cpp_plugin", "pkg-config"])
    build("cmake", "-S", EXAMPLES / "cpp", "-B", BUILDS / "cpp")
    build("cmake", "--build", BUILDS / "cpp")
    return [BUILDS / "cpp" / "classify"]


def built_java() -> list[str | Path]:
    """The client in Java, with Debian's libraries."""
    jars = [JARS / "grpc-netty.jar", JARS / "netty-codec-http2.jar", JARS / "perfmark-api.jar"]
    need(["javac", "protoc", "grpc_java_plugin"], jars)
    build(EXAMPLES / "java" / "build.sh", BUILDS / "java")
    return [BUILDS / "java" / "classify"]


def node() -> list[str | Path]:
    """The client in Node, which needs no build."""
    need(["node"], [EXAMPLES / "node" / "node_modules"])
    return ["node", EXAMPLES / "node" / "classify.mjs"]


@dataclass(frozen=True, slots=True)
class Ended:
    """What a program left: its exit status and what it printed."""

    status: int
    output: str
    errors: str


def run(*command: str | Path) -> Ended:
    """Run a client to its end, with this environment's programs first on its path."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    process = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
        env=os.environ | {"PATH": path},
    )
    return Ended(process.returncode, process.stdout, process.stderr)


Language = Callable[[], list[str | Path]]

LANGUAGES = pytest.mark.parametrize(
    "language",
    [
        pytest.param(built_go, id="go", marks=pytest.mark.toolchain),
        pytest.param(built_cpp, id="cpp", marks=pytest.mark.toolchain),
        pytest.param(built_java, id="java", marks=pytest.mark.toolchain),
        pytest.param(node, id="node"),
    ],
)


@LANGUAGES
def test_a_digit_over_grpc(suite: Addresses, language: Language) -> None:
    """The client prints the right digit, which version said so, and why it was asked."""
    client = language()
    for name, route in (("digits", "stable"), ("digits@champion", "alias")):
        ended = run(*client, suite.grpc, name)

        assert (0, "") == (ended.status, ended.errors)
        assert re.fullmatch(
            rf"digit 2 \(\d+\.\d %\)\ndigits version 1 \({route}\)\n", ended.output
        ), ended.output


@LANGUAGES
def test_an_error_over_grpc(suite: Addresses, language: Language) -> None:
    """The client prints what the server says is wrong, and fails."""
    ended = run(*language(), suite.grpc, "nope")

    assert (1, "") == (ended.status, ended.output)
    assert UNKNOWN in ended.errors


def test_a_stream_from_node(suite: Addresses) -> None:
    """Answers of a stream come in order, and an error is told between them."""
    client = node()
    client[1] = EXAMPLES / "node" / "stream.mjs"
    ended = run(*client, suite.grpc, "digits", "nope", "digits@champion")

    assert (0, "") == (ended.status, ended.errors)
    digit = "digit 2, digits version 1"
    assert [f"1: {digit}", f"2: {UNKNOWN}", f"3: {digit}"] == ended.output.splitlines()


def test_kserve(suite: Addresses) -> None:
    """KServe's clients find the server live and the model ready, and read its answers, on both wires."""
    python = INSTALLED / "kserve" / "bin" / "python"
    need(paths=[python])
    client = (python, EXAMPLES / "kserve" / "classify.py", suite.grpc, suite.url)

    ended = run(*client, "digits")
    assert (0, "") == (ended.status, ended.errors)
    lines = re.sub(r"\d+\.\d %", "p", ended.output).splitlines()
    answer = ["digit 2 (p)", "digits version not told (stable)"]
    assert [
        "grpc: ready",
        "grpc: digit 2 (p)",
        "grpc: digits version 1 (stable)",
        "rest: ready",
        *(f"rest: {line}" for _ in ("binary", "JSON") for line in answer),
    ] == lines

    refused = run(*client, "nope")
    assert 1 == refused.status
    assert UNKNOWN in refused.errors


def test_buf_by_reflection(suite: Addresses) -> None:
    """`buf curl` needs no .proto file: it lists the methods, calls one, and shows an error's reason."""
    need(["sh"], [Path(sys.executable).parent / "buf"])
    script = EXAMPLES / "shell" / "grpc.sh"
    answer = json.loads(run(script, suite.grpc).output)
    assert "1" == answer["modelVersion"]
    assert ["label", "probabilities"] == [output["name"] for output in answer["outputs"]]
    assert "AgAAAAAAAAA=" == answer["rawOutputContents"][0]

    refused = run(script, suite.grpc, "nope")
    error: dict[str, Any] = json.loads(refused.errors)
    assert ("not_found", UNKNOWN) == (error["code"], error["message"])

    listing = ("curl", "--protocol=grpc", "--http2-prior-knowledge", "--list-methods")
    methods = run("buf", *listing, f"http://{suite.grpc}").output.split()
    assert 20 == sum(method.startswith("inference.GRPCInferenceService/") for method in methods)


def test_curl(suite: Addresses) -> None:
    """curl sends and gets plain JSON, and the status tells an error."""
    need(["curl"])
    script = EXAMPLES / "shell" / "rest.sh"
    outputs = {
        output["name"]: output["data"]
        for output in json.loads(run(script, suite.http).output)["outputs"]
    }
    assert [2] == outputs["label"]
    assert outputs["probabilities"][2] == max(outputs["probabilities"])

    refused = run(script, suite.http, "nope")
    assert {"error": UNKNOWN, "reason": "MODEL_NOT_FOUND"} == json.loads(refused.output)
    assert 0 != refused.status
