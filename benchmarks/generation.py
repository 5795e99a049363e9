"""How fast are texts generated, beside a bare loop, onnxruntime-genai and openvino-genai?

    python -m benchmarks.generation MODEL [--gguf FILE] [--peers PYTHON] [--rounds N]

MODEL is a folder that `headrace import gguf --output` wrote (SmolLM2-135M in int4, say), and FILE the
GGUF file that it was made of, for openvino-genai. PYTHON is an interpreter that has onnxruntime-genai and
openvino-genai; without it only the bare loop is compared with. Prompts have 64 tokens, answers 64, all
greedy and past the end token. Sides take turns in every round; a ratio is the median over rounds of the
ratio within a round. The server is `headrace up` over REST, each answer streamed token by token, its
reader on the same cores. CPU is that of the serving process.

Then arrivals as they come (Poisson): chats that begin with one system prompt, some of them long, at about
two thirds of what the server can do; once as served by default, once with prompts read in one piece, once
without reuse of prefixes. Time to the first token, and the gaps between tokens.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.sides import HERE, Suite, open_suite_of, spent
from benchmarks.stream_load import Generation, completion, run
from headrace.service.parent_death import tether

SEQUENCES = (1, 8, 32)
PROMPT_TOKENS, NEW_TOKENS = 64, 64
READY_SECONDS = 300.0
SERVER = "headrace"

ARRIVALS = 60
SYSTEM_TOKENS = 96
"""Of the prompt that every chat begins with."""

ONE_PIECE = 1 << 16
"""More tokens than any prompt has."""


@dataclass(slots=True)
class Run:
    """One round of one side."""

    rate: float
    """Tokens a second, prompts included in the time."""
    cpu_ms: float
    """Of the serving process, a token."""
    first_seconds: float


@dataclass(slots=True)
class Side:
    """Something that generates, and its runs by the number of sequences."""

    name: str
    runs: dict[int, list[Run]] = field(default_factory=dict)

    def measure(self, prompts: Sequence[Sequence[int]]) -> None:
        """One round with these prompts."""
        self.runs.setdefault(len(prompts), []).append(self.generate(prompts))

    def generate(self, prompts: Sequence[Sequence[int]]) -> Run:
        """Generate NEW_TOKENS after each."""
        raise NotImplementedError

    def middle(self, sequences: int, figure: str) -> float:
        """The median of a figure over all rounds."""
        return float(statistics.median(getattr(each, figure) for each in self.runs[sequences]))


@dataclass(slots=True)
class Peer(Side):
    """An engine in a process of its own."""

    process: subprocess.Popen[str] | None = None

    def generate(self, prompts: Sequence[Sequence[int]]) -> Run:
        """Have the process do it."""
        assert self.process
        assert self.process.stdin
        assert self.process.stdout
        wanted = {"prompts": prompts, "new_tokens": NEW_TOKENS}
        self.process.stdin.write(json.dumps(wanted) + "\n")
        self.process.stdin.flush()
        told = json.loads(self.process.stdout.readline())
        tokens = len(prompts) * NEW_TOKENS
        if told["generated"] != tokens:
            raise RuntimeError(f"{self.name} generated {told['generated']} of {tokens} tokens")
        seconds, cpu = told["seconds"], told["cpu_seconds"]
        return Run(tokens / seconds, cpu / tokens * 1e3, told["first_seconds"])


@dataclass(slots=True)
class Served(Side):
    """A suite, over REST."""

    suite: Suite | None = None
    model: str = ""

    def generate(self, prompts: Sequence[Sequence[int]]) -> Run:
        """Stream all answers at a time."""
        assert self.suite
        side = self.suite.side
        bodies = [completion(self.model, prompt, NEW_TOKENS) for prompt in prompts]
        generations = [Generation(body) for body in bodies]
        cpu = side.cpu()
        seconds = run(side.http, generations)
        used = spent(cpu, side.cpu())
        tokens = len(prompts) * NEW_TOKENS
        return Run(tokens / seconds, used / tokens * 1e3, max(each.first for each in generations))


@contextlib.contextmanager
def open_peer(side: str, python: str, model: Path, threads: int) -> Iterator[Peer]:
    """A peer with its model open; ended on leaving."""
    script = str(HERE / "benchmarks" / "generation_peers.py")
    process = subprocess.Popen(
        [*tether(), python, script, side, str(model), f"--threads={threads}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout
        if not process.stdout.readline():
            raise RuntimeError(f"{side} does not start: does {python} have its packages?")
        yield Peer(side, process=process)
    finally:
        process.terminate()
        process.wait()


def push(suite: Suite, name: str, model: Path, config: Mapping[str, Any] | None = None) -> str:
    """Push a model, and wait until it serves; its name."""
    version = suite.client.push(name, model, config=config, timeout_seconds=READY_SECONDS)
    suite.client.wait_until_ready(name, version.number, timeout_seconds=READY_SECONDS)
    return name


def measure_rates(arguments: argparse.Namespace, suite: Suite) -> list[Side]:
    """All sides in turns."""
    drawn = random.Random(7)
    with contextlib.ExitStack() as stack:

        def peer(side: str, python: str, model: Path) -> Peer:
            return stack.enter_context(open_peer(side, python, model, arguments.threads))

        server = Served(SERVER, suite=suite, model=push(suite, "rates", arguments.model, NO_REUSE))
        sides: list[Side] = [server, peer("bare", sys.executable, arguments.model)]
        if arguments.peers:
            sides += [peer(name, arguments.peers, arguments.model) for name in GENAI]
        if arguments.peers and arguments.gguf:
            sides.append(peer("openvino", arguments.peers, arguments.gguf))
        for round_number in range(arguments.rounds + 1):
            for sequences in SEQUENCES:
                prompts = [
                    [drawn.randrange(100, arguments.tokens) for _ in range(PROMPT_TOKENS)]
                    for _ in range(sequences)
                ]
                for side in sides if round_number % 2 else reversed(sides):
                    side.measure(prompts)
        for side in sides:  # the first round warms them
            side.runs = {sequences: runs[1:] for sequences, runs in side.runs.items()}
        return sides


GENAI = ("genai", "genai-engine")
NO_REUSE = {"generation": {"prefixReuse": False}}


def print_rates(sides: Sequence[Side]) -> None:
    """Rates, CPU, and ratios of the server to each side."""
    server = sides[0]
    for sequences in SEQUENCES:
        print(f"\n{sequences} sequences: tokens/s, ms of CPU a token, s to all first tokens")
        for side in sides:
            ratios = [
                ours.rate / theirs.rate
                for ours, theirs in zip(server.runs[sequences], side.runs[sequences], strict=True)
            ]
            print(
                f"  {side.name:<14}{side.middle(sequences, 'rate'):9.1f}"
                f"{side.middle(sequences, 'cpu_ms'):8.2f}"
                f"{side.middle(sequences, 'first_seconds'):8.3f}"
                f"   {SERVER} / it: {statistics.median(ratios):.2f}"
            )


def arrivals(model: str, rate: float, tokens: int, seed: int) -> list[Generation]:
    """Chats with one system prompt, every sixth of them long, at random times."""
    drawn = random.Random(seed)
    system = [drawn.randrange(100, tokens) for _ in range(SYSTEM_TOKENS)]
    generations, at = [], 0.0
    for place in range(ARRIVALS):
        length = 384 if place % 6 == 5 else drawn.randrange(16, 64)
        prompt = system + [drawn.randrange(100, tokens) for _ in range(length)]
        body = completion(model, prompt, drawn.randrange(16, 64))
        generations.append(Generation(body, at=at))
        at += drawn.expovariate(rate)
    return generations


def measure_arrivals(arguments: argparse.Namespace, suite: Suite) -> None:
    """The same arrivals with each config, in turns."""
    base = {"prefixReuse": True}
    configs = {
        "by default": base,
        "prompts in one piece": {**base, "prefillTokensPerStep": ONE_PIECE},
        "no reuse of prefixes": {**base, "prefixReuse": False},
    }
    names = {
        text: push(suite, f"arrivals-{place}", arguments.model, {"generation": config})
        for place, (text, config) in enumerate(configs.items())
    }
    firsts: dict[str, list[float]] = {text: [] for text in configs}
    gaps: dict[str, list[float]] = {text: [] for text in configs}
    for seed in range(arguments.rounds):
        for text, name in names.items():
            chats = arrivals(name, arguments.arrivals_per_second, arguments.tokens, seed)
            run(suite.side.http, chats)
            firsts[text] += [each.first for each in chats]
            gaps[text] += [gap for each in chats for gap in each.gaps()]
    print(f"\narrivals, {arguments.arrivals_per_second:g} a second: ms")
    print(f"  {'':<24}{'first p50':>10}{'p99':>8}{'gap p50':>10}{'p99':>8}{'p99/p50':>9}")
    for text in configs:
        first, gap = _percentiles(firsts[text]), _percentiles(gaps[text])
        print(
            f"  {text:<24}{first[0]:10.0f}{first[1]:8.0f}{gap[0]:10.1f}{gap[1]:8.1f}"
            f"{gap[1] / gap[0]:9.1f}"
        )


def _percentiles(seconds: Sequence[float]) -> tuple[float, float]:
    """The median and the 99th percentile, in milliseconds."""
    ordered = sorted(seconds)
    return statistics.median(ordered) * 1e3, ordered[int(len(ordered) * 0.99)] * 1e3


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--gguf", type=Path)
    parser.add_argument("--peers", metavar="PYTHON", default="")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2, help="of the peers")
    parser.add_argument("--tokens", type=int, default=40_000, help="prompts have tokens below it")
    parser.add_argument("--arrivals-per-second", type=float, default=1.5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        with open_suite_of(SERVER, HERE, Path(folder) / "suite") as suite:
            print_rates(measure_rates(arguments, suite))
        with open_suite_of(SERVER, HERE, Path(folder) / "arrivals") as suite:
            measure_arrivals(arguments, suite)


if __name__ == "__main__":
    main()
