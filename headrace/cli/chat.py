"""`headrace chat`."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager, suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headrace.cli.arguments import CallableName, VersionOrAlias
from headrace.cli.chat_session import ChatSession
from headrace.cli.command import Cli, command
from headrace.cli.error_report import report
from headrace.cli.generation_flags import (
    MaxTokens,
    Pace,
    Schema,
    Seed,
    Stop,
    Temperature,
    TopK,
    TopP,
    options_of,
    paced,
    write_text,
)
from headrace.errors import HeadraceError

if TYPE_CHECKING:
    from headrace.client import AsyncClient, GenerationOptions, GenerationPart

PROMPT = "> "


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "chat")(chat)


async def chat(
    cli: Cli,
    name: CallableName,
    message: Annotated[
        str,
        typer.Argument(
            metavar="[MESSAGE]", help="Have this answered, and end.", show_default=False
        ),
    ] = "",
    version: VersionOrAlias = "",
    system: Annotated[str, typer.Option(metavar="TEXT", help="What the model is told to be.")] = "",
    max_tokens: MaxTokens = None,
    temperature: Temperature = None,
    top_p: TopP = None,
    top_k: TopK = None,
    seed: Seed = None,
    stop: Stop = None,
    schema: Schema = None,
) -> None:
    """Talk with a language model. /help lists what can be done; Ctrl-C ends an answer, Ctrl-D the chat.

    Without a terminal each line read is a question, and each answer is printed; with --json as a document
    in a line.
    """
    options = options_of(
        max_tokens=max_tokens,
        temperature=temperature,
        top_p=top_p,
        top_k=top_k,
        seed=seed,
        stop=stop,
        schema=schema,
    )
    async with cli.client() as client:
        asked = _Asked(cli, client, name, version, options)
        session = ChatSession(system)
        if message:
            session.ask(message)
            await asked.answer(session)
        else:
            await _converse(session, asked)


async def _converse(session: ChatSession, asked: _Asked) -> None:
    is_terminal = sys.stdin.isatty()
    for line in _lines(is_terminal):
        match session.take(line):
            case "exit":
                return
            case "tell":
                print(session.told, file=sys.stderr)
            case "ask":
                try:
                    session.answered(await asked.answer(session))
                except HeadraceError as error:
                    session.withdraw()
                    if not is_terminal:
                        raise
                    if error.reason == "CONTEXT_LENGTH_EXCEEDED":
                        error.add_note("/reset forgets what was said")
                    report(error, as_json=False)


class _Asked:
    """A model that is asked, and how its answers are shown."""

    def __init__(
        self,
        cli: Cli,
        client: AsyncClient,
        name: str,
        version: str,
        options: GenerationOptions,
    ) -> None:
        self._cli = cli
        self._client = client
        self._name = name
        self._version = version
        self._options = options

    async def answer(self, session: ChatSession) -> str:
        """Show the answer as it comes, and return it; as far as it came where Ctrl-C ended it."""
        pace, texts = Pace(time.monotonic()), list[str]()
        task = asyncio.ensure_future(self._shown(session, pace, texts))
        with _on_interrupt(task.cancel), suppress(asyncio.CancelledError):
            last = await task
            if self._cli.as_json:
                self._cli.show(_document(last, "".join(texts), pace), lambda: "")
                return "".join(texts)
        if not self._cli.as_json:
            sys.stdout.write("\n")
            sys.stdout.flush()
            if sys.stderr.isatty():
                note = " (ended by you)" if task.cancelled() else ""
                print(f"[{pace.line()}{note}]", file=sys.stderr)
        return "".join(texts)

    async def _shown(
        self, session: ChatSession, pace: Pace, texts: list[str]
    ) -> GenerationPart | None:
        last = None
        parts = self._client.chat_stream(
            self._name,
            session.messages(),
            version=self._version,
            timeout_seconds=self._cli.timeout_seconds,
            **self._options,
        )
        async with aclosing(parts):
            async for part in paced(parts, pace):
                texts.append(part.text)
                last = part if part.finish_reason else last
                if not self._cli.as_json:
                    write_text(part.text)
        return last


def _document(last: GenerationPart | None, text: str, pace: Pace) -> dict[str, Any]:
    return {
        "role": "assistant",
        "content": text,
        "finish_reason": last.finish_reason if last else None,
        "model_version": str(last.version) if last else "",
        "route": last.route if last else "",
        "usage": pace.usage,
        **pace.document(),
    }


def _lines(is_terminal: bool) -> Iterator[str]:
    """Yield what a person writes, line by line; one that ends in a backslash goes on in the next."""
    if is_terminal:
        with suppress(ImportError):  # Windows has none: lines are edited as its terminal does it
            import readline  # noqa: F401
    read = _read_from_person if is_terminal else _read_from_pipe
    begun = ""
    while (line := read("... " if begun else PROMPT)) is not None:
        if line.endswith("\\"):
            begun += line[:-1] + "\n"
            continue
        yield begun + line
        begun = ""


def _read_from_pipe(_: str) -> str | None:
    line = sys.stdin.readline()
    return line.rstrip("\n") if line else None


def _read_from_person(prompt: str) -> str | None:
    """A line; None at its end. Ctrl-C begins the line anew."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        while True:
            try:
                return input(prompt)
            except KeyboardInterrupt:
                print("\n(Ctrl-D or /exit ends the chat)", file=sys.stderr)
            except EOFError:
                print()
                return None
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _on_interrupt(do: Callable[[], object]) -> Iterator[None]:
    """While inside, Ctrl-C does this instead of ending the command."""
    loop = asyncio.get_running_loop()
    before = signal.signal(signal.SIGINT, lambda *_: loop.call_soon_threadsafe(do))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
