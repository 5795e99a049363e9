"""What does it cost to ask who calls? Each front and REST with auth off, with an API key and with a JWT.

    python -m benchmarks.security [--rounds N] [--seconds S]

`off, with a key` is what it costs to read a longer head, which nobody looks at there.

Four suites take turns: one replica with either front, without and with --auth. Ratios are medians over
rounds, to the suite of the same front without auth in the same round. The keys are API keys of the
registry, and tokens (ES256) of an issuer in the identity file; both callers are granted the one model.
TLS is measured by `benchmarks.tls`, a gateway by `benchmarks.gateway`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from benchmarks import http_load, load
from benchmarks.models import MLP
from benchmarks.request_bodies import json_request
from benchmarks.servers import request_for
from benchmarks.sides import HERE, Side, Suite, open_suite_of, spent

IN_FLIGHT = (1, 64)
STREAMS_PER_CONNECTION = 16
SETTLE_SECONDS = 20.0
ISSUER, AUDIENCE, SUBJECT = "https://issuer.example", "headrace", "caller"


@dataclass(slots=True)
class Subject:
    """A way to call a suite: its front or REST, and what a call brings."""

    wire: str
    name: str
    side: Side
    headers: tuple[str, ...] = ()
    loads: dict[int, list[load.Load]] = field(default_factory=dict)

    def measure(self, in_flight: int, seconds: float) -> None:
        """One round. Raises RuntimeError where not every request was answered well."""
        side = self.side
        before, cpu = side.successes([MLP.name]), side.cpu()
        result = self._sent(in_flight, seconds)
        used = spent(cpu, side.cpu())
        answered = side.successes([MLP.name]) - before
        if not result.requests <= answered <= result.requests + in_flight:
            raise RuntimeError(f"{self.name} counts {answered} of {result.requests} requests")
        result.cpu_us = used / answered * 1e6
        self.loads.setdefault(in_flight, []).append(result)

    def _sent(self, in_flight: int, seconds: float) -> load.Load:
        if self.wire != "REST":
            body = load.grpc_frame(request_for(MLP))
            streams = STREAMS_PER_CONNECTION
            return load.run_for(self.side.grpc, body, in_flight, streams, seconds, self.headers)
        request = json_request(MLP)
        request = replace(request, headers=request.headers + self.headers)
        former = self.loads.get(in_flight)
        rate = former[-1].rate if former else 2000.0  # so many a second, for want of a better guess
        requests = max(4 * in_flight, int(rate * seconds)) // in_flight * in_flight
        return http_load.run_http(self.side.http, request, in_flight, requests)

    def middle(self, in_flight: int, figure: str) -> float:
        """The median of a figure over all rounds."""
        return float(statistics.median(getattr(each, figure) for each in self.loads[in_flight]))


@contextlib.contextmanager
def open_subjects(folder: Path) -> Iterator[list[Subject]]:
    """All of them, with nothing measured any more."""
    identity_file, token = _issuer(folder)
    with contextlib.ExitStack() as stack:
        subjects, sides = [], []
        for front in ("native", "grpcio"):
            plain = stack.enter_context(
                open_suite_of(front, HERE, folder / front, [f"--front={front}"])
            )
            plain.push(MLP)
            data = folder / f"{front}-auth"
            options = [f"--front={front}", "--auth", f"--identity-file={identity_file}"]
            admin = _admin_key(data)
            checked = stack.enter_context(
                open_suite_of(f"{front}, auth", HERE, data, options, admin)
            )
            checked.push(MLP)
            key = _granted(checked)
            side = replace(
                checked.side,
                metadata=(("authorization", f"Bearer {admin.read_text().strip()}"),),
            )
            bearers = {"API key": key, "JWT": token}
            for wire in (front, "REST") if front == "native" else (front,):
                sent = (f"authorization: Bearer {key}",)
                subjects.append(Subject(wire, "off", plain.side))
                subjects.append(Subject(wire, "off, with a key", plain.side, sent))
                subjects += [
                    Subject(wire, name, side, (f"authorization: Bearer {bearer}",))
                    for name, bearer in bearers.items()
                ]
            sides += [plain.side, side]
        for each in sides:
            each.settle(SETTLE_SECONDS)
        yield subjects


def _admin_key(data: Path) -> Path:
    """The file of an admin's key, which the registry takes in when it starts."""
    file = data.with_suffix(".key")
    command = [sys.executable, "-m", "headrace.cli", "keys", "create", "boss", "--admin"]
    made = subprocess.run([*command, f"--data={data}"], capture_output=True, text=True, check=True)
    file.touch(mode=0o600)
    file.write_text(made.stdout)
    return file


def _granted(suite: Suite) -> str:
    """The key of a caller of the model; whoever brings a token of the issuer may call it, too."""
    client = suite.client
    key = client.create_api_key(SUBJECT)
    for subject in (SUBJECT, f"bench:{SUBJECT}"):
        client.grant_role(subject, "caller", models=[MLP.name])
    return key.secret


def _issuer(folder: Path) -> tuple[Path, str]:
    """An identity file that pins an issuer, and a token of that."""
    private = ec.generate_private_key(ec.SECP256R1())
    public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(private.public_key()))
    (folder / "jwks.json").write_text(json.dumps({"keys": [public | {"kid": "k", "use": "sig"}]}))
    file = folder / "identity.toml"
    file.write_text(
        f'[[issuers]]\nname = "bench"\nissuer = "{ISSUER}"\naudiences = ["{AUDIENCE}"]\n'
        'jwks = "jwks.json"\n'
    )
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": SUBJECT, "iat": now, "exp": now + 86_400}
    return file, jwt.encode(claims, private, algorithm="ES256", headers={"kid": "k"})


def measure(subjects: Sequence[Subject], rounds: int, seconds: float) -> None:
    """Measure and print."""
    for number in range(rounds):
        for in_flight in IN_FLIGHT:
            for each in subjects if number % 2 else reversed(subjects):
                each.measure(in_flight, seconds)
    print(f"MLP, {os.cpu_count()} cores, medians of {rounds} rounds of {seconds:g} s\n")
    print("| called by | in flight | auth | requests/s | ratio | p50 ms | CPU µs | ratio |")
    print("| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: |")
    for each in subjects:
        base = next(one for one in subjects if one.wire == each.wire)
        for in_flight in IN_FLIGHT:
            print(
                f"| {each.wire} | {in_flight} | {each.name} | {_figures(each, base, in_flight)} |"
            )


def _figures(each: Subject, base: Subject, in_flight: int) -> str:
    pairs = list(zip(each.loads[in_flight], base.loads[in_flight], strict=True))
    rate = statistics.median(one.rate / other.rate for one, other in pairs)
    cpu = statistics.median(one.cpu_us / other.cpu_us for one, other in pairs)
    return (
        f"{each.middle(in_flight, 'rate'):,.0f} | {rate:.2f} | {each.middle(in_flight, 'p50_ms'):.3f} | "
        f"{each.middle(in_flight, 'cpu_us'):.1f} | {cpu:.2f}"
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
