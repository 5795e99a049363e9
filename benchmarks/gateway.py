"""What does a gateway cost, before the same replica that is called directly, and what do two replicas give?

    python -m benchmarks.gateway [--rounds N] [--seconds S]

Four suites take turns: one replica called directly, one behind a gateway in plaintext, one behind a gateway
over TLS, and two behind a gateway in plaintext. Gateways have everything on: a log of every request,
retries, gRPC-Web, limits of size and rate. Ratios are medians over rounds, to the direct one in the same
round. CPU is that of all replicas, and that of Envoy and of the process that runs it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from benchmarks import load
from benchmarks.models import MLP
from benchmarks.servers import request_for
from benchmarks.sides import HERE, Side, Suite, open_suite_of, spent
from headrace.tls.authority import Authority, Names

IN_FLIGHT = (1, 8, 64)
STREAMS_PER_CONNECTION = 16
SETTLE_SECONDS = 20.0
EVERYTHING_ON = {
    "access_log": "all",
    "cors_origins": ["https://app.example"],
    "max_requests_per_second": 1_000_000,
}


@dataclass(slots=True)
class Subject:
    """A suite, where it is called, and its loads by requests in flight."""

    name: str
    suite: Suite
    address: str
    gateway: Side
    loads: dict[int, list[load.Load]] = field(default_factory=dict)
    gateway_us: dict[int, list[float]] = field(default_factory=dict)

    def measure(self, in_flight: int, seconds: float) -> None:
        """One round. Raises RuntimeError where not every request was answered well."""
        side, body = self.suite.side, load.grpc_frame(request_for(MLP))
        before, cpu, edge = side.successes([MLP.name]), side.cpu(), self.gateway.cpu()
        result = load.run_for(self.address, body, in_flight, STREAMS_PER_CONNECTION, seconds)
        used, used_by_gateway = spent(cpu, side.cpu()), spent(edge, self.gateway.cpu())
        answered = side.successes([MLP.name]) - before
        if not result.requests <= answered <= result.requests + in_flight:
            raise RuntimeError(f"{self.name} counts {answered} of {result.requests} requests")
        result.cpu_us = used / answered * 1e6
        self.loads.setdefault(in_flight, []).append(result)
        self.gateway_us.setdefault(in_flight, []).append(used_by_gateway / answered * 1e6)

    def middle(self, in_flight: int, figure: str) -> float:
        """The median of a figure over all rounds."""
        return float(statistics.median(getattr(each, figure) for each in self.loads[in_flight]))


@contextlib.contextmanager
def open_subjects(folder: Path) -> Iterator[list[Subject]]:
    """All suites, each with the model, and with nothing measured any more."""
    plain = _settings(folder, "plain", {})
    secure = _settings(folder, "secure", _tls(folder))
    options: Sequence[tuple[str, list[str]]] = (
        ("direct", ["--replicas=1"]),
        ("gateway", ["--replicas=1", "--gateway", f"--gateway-settings={plain}"]),
        ("gateway, TLS", ["--replicas=1", "--gateway", f"--gateway-settings={secure}"]),
        ("gateway, 2 replicas", ["--replicas=2", "--gateway", f"--gateway-settings={plain}"]),
    )
    with contextlib.ExitStack() as stack:
        subjects = []
        for number, (name, flags) in enumerate(options):
            suite = stack.enter_context(open_suite_of(name, HERE, folder / str(number), flags))
            suite.push(MLP)
            subjects.append(_subject(name, suite))
        for each in subjects:
            each.suite.side.settle(SETTLE_SECONDS)
        yield subjects


def _subject(name: str, suite: Suite) -> Subject:
    pids = suite.ready["pids"]
    assert isinstance(pids, dict)
    edge = tuple(pid for child, pid in pids.items() if child == "gateway")
    scheme = "https://" if "TLS" in name else "http://"
    return Subject(name, suite, scheme + suite.side.grpc, Side(name, "", pids=edge))


def _settings(folder: Path, name: str, more: dict[str, str]) -> Path:
    file, log = folder / f"{name}.toml", folder / f"{name}.log"
    settings = {**EVERYTHING_ON, "access_log_file": str(log), **more}
    file.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items()))
    return file


def _tls(folder: Path) -> dict[str, str]:
    day = timedelta(days=1)
    issued = Authority.create("benchmark", day).issue(Names(["localhost"]), day, serves=True)
    cert, key = folder / "tls.crt", folder / "tls.key"
    cert.write_bytes(issued.certificate)
    key.write_bytes(issued.key)
    return {"tls_cert": str(cert), "tls_key": str(key)}


def measure(subjects: Sequence[Subject], rounds: int, seconds: float) -> None:
    """Measure and print."""
    for number in range(rounds):
        for in_flight in IN_FLIGHT:
            for each in subjects if number % 2 else reversed(subjects):
                each.measure(in_flight, seconds)
    print(f"MLP, {os.cpu_count()} cores, medians of {rounds} rounds of {seconds:g} s\n")
    print(
        "| in flight | called | requests/s | ratio | p50 ms | p99 ms | replicas µs | gateway µs |"
    )
    print("| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for in_flight in IN_FLIGHT:
        for each in subjects:
            print(f"| {in_flight} | {each.name} | {_figures(each, subjects[0], in_flight)} |")


def _figures(each: Subject, direct: Subject, in_flight: int) -> str:
    pairs = zip(each.loads[in_flight], direct.loads[in_flight], strict=True)
    ratio = statistics.median(one.rate / other.rate for one, other in pairs)
    gateway = statistics.median(each.gateway_us[in_flight])
    return (
        f"{each.middle(in_flight, 'rate'):,.0f} | {ratio:.2f} | {each.middle(in_flight, 'p50_ms'):.2f} | "
        f"{each.middle(in_flight, 'p99_ms'):.2f} | {each.middle(in_flight, 'cpu_us'):.1f} | {gateway:.1f}"
    )


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    given = parser.parse_args()
    load.require_h2load()
    with tempfile.TemporaryDirectory() as folder, open_subjects(Path(folder)) as subjects:
        measure(subjects, given.rounds, given.seconds)


if __name__ == "__main__":
    main()
