"""`headrace generate` and `headrace chat` as processes, piped and at a terminal."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from headrace.language.chats.tool_forms import PLAIN_FORM
from headrace.language.chats.tool_reader import ToolAnswers
from tests.rpc.test_cli_commands import Finished, Shell
from tests.rpc.test_generation_service import Scene, scene

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it has no pseudo-terminals")


class SaidInTurn:
    """A chat format: each message in a line, behind the first letter of who says it."""

    def prompt(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] = (),
        *,
        continues_last: bool = False,
        variables: Mapping[str, Any] | None = None,
    ) -> list[int]:
        return list("".join(f"{one['role'][0]}:{one['content']};" for one in messages).encode())

    def tool_answers(
        self, tools: Sequence[Mapping[str, Any]], *, must: bool, several: bool
    ) -> ToolAnswers:
        return ToolAnswers(PLAIN_FORM.free(tools, several=several), PLAIN_FORM)


@asynccontextmanager
async def chatting(folder: Path, *, gated: bool = False) -> AsyncIterator[tuple[Scene, Shell]]:
    """A version that says its prompt again, and commands that ask it."""
    async with scene(folder, gated=gated) as site:
        (loaded,) = site.replica.ingress.reconciler.table.ready.values()
        assert loaded.generative is not None
        loaded.generative.chat = SaidInTurn()
        yield site, Shell(("--inference", site.replica.grpc_address))


async def piped(shell: Shell, said: str, *arguments: str) -> Finished:
    """A command that reads this, and its end."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "headrace.cli", *shell.flags, *arguments),
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
    )
    output, error = await asyncio.wait_for(process.communicate(said.encode()), 60)
    assert process.returncode is not None
    return Finished(process.returncode, output.decode(), error.decode())


async def test_text_goes_on_from_an_argument_or_what_is_piped(tmp_path: Path) -> None:
    """One answer is its text alone; several, with scores, are a document."""
    async with chatting(tmp_path) as (_, shell):
        read, several = await asyncio.gather(
            piped(shell, "xy", "generate", "m", "--max-tokens", "3"),
            shell("generate", "m", "ab", "--max-tokens=1", "--n=2", "--logprobs=0", "--json"),
        )

    assert (0, "xyx\n", "") == (read.status, read.output, read.error)
    choices = several.document["choices"]
    assert ["a", "a"] == [choice["text"] for choice in choices]
    score = {
        "token": "a",
        "token_id": 97,
        "logprob": -0.5,
        "top": [{"token_id": 97, "logprob": -0.5}],
    }
    assert [score] == choices[0]["logprobs"]
    assert 2 == several.document["usage"]["completion_tokens"]


async def test_a_piped_chat_answers_each_line_and_keeps_the_turns(tmp_path: Path) -> None:
    """Commands are done, and say so on standard error; what is not a question gets no answer.

    The first question without an answer ends the chat, and its exit status says so.
    """
    arguments = ("chat", "m", "--system", "S", "--max-tokens", "30")
    async with chatting(tmp_path) as (_, shell):
        plain, documents = await asyncio.gather(
            piped(shell, "Hi\nand?\n/reset\n\nHo\n", *arguments),
            piped(shell, "Hi\n" + "x" * 2000 + "\nno more\n", *arguments, "--json"),
        )

    first, second, third = plain.output.splitlines()
    assert "s:S;u:Hi;s:S;u:Hi;s:S;u:Hi;s:S"[:30] == first
    assert f"s:S;u:Hi;a:{first};u:and?;"[:30] == second
    assert "s:S;u:Ho;s:S;u:Ho;s:S;u:Ho;s:S"[:30] == third
    assert (0, "forgotten\n") == (plain.status, plain.error)
    (line,) = map(json.loads, documents.output.splitlines())
    assert (first, 30, "length") == (line["content"], line["tokens"], line["finish_reason"])
    assert 1 == documents.status
    assert "CONTEXT_LENGTH_EXCEEDED" == json.loads(documents.error)["error"]["reason"]


async def test_a_message_on_the_command_line_is_answered_at_once(tmp_path: Path) -> None:
    """Nothing is read; a message that looks like a command is none."""
    async with chatting(tmp_path) as (_, shell):
        plain, command, refused = await asyncio.gather(
            piped(shell, "not this\n", "chat", "m", "Hi?", "--max-tokens", "6"),
            shell("chat", "m", "/exit", "--max-tokens=8", "--json"),
            shell("chat", "m", "x" * 2000),
        )

    assert (0, "u:Hi?;\n", "") == (plain.status, plain.output, plain.error)
    assert "u:/exit;" == command.document["content"]
    assert (1, True) == (refused.status, "CONTEXT_LENGTH_EXCEEDED" in refused.error)


class Terminal:
    """A command at a pseudo-terminal: what it shows, and keys for it."""

    def __init__(self, process: asyncio.subprocess.Process, master: int) -> None:
        self.process, self._master = process, master
        self.shown = ""
        self._came = asyncio.Event()
        asyncio.get_running_loop().add_reader(master, self._read)

    def _read(self) -> None:
        try:
            self.shown += os.read(self._master, 4096).decode()
        except OSError:  # the command has ended
            asyncio.get_running_loop().remove_reader(self._master)
        self._came.set()

    def press(self, keys: str) -> None:
        """Type these."""
        os.write(self._master, keys.encode())

    async def until(self, text: str) -> str:
        """Wait until this is shown; all up to it, which is forgotten."""
        async with asyncio.timeout(30):
            while text not in self.shown:
                self._came.clear()
                await self._came.wait()
        before, _, self.shown = self.shown.partition(text)
        return before

    async def ended(self) -> int:
        """Wait for the end; its status."""
        status = await asyncio.wait_for(self.process.wait(), 30)
        asyncio.get_running_loop().remove_reader(self._master)
        os.close(self._master)
        return status


async def at_terminal(shell: Shell, *arguments: str) -> Terminal:
    """A command at a terminal of its own."""
    master, slave = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "headrace.cli", *shell.flags, *arguments),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=_take_terminal,
    )
    os.close(slave)
    return Terminal(process, master)


def _take_terminal() -> None:
    """Have Ctrl-C of this terminal reach the process, which begins a session of its own."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


async def test_ctrl_c_ends_an_answer_and_not_the_chat(tmp_path: Path) -> None:
    """What came of the answer is kept as a turn; Ctrl-C at the prompt ends nothing; Ctrl-D does."""
    async with chatting(tmp_path, gated=True) as (site, shell):
        terminal = await at_terminal(shell, "chat", "m", "--max-tokens", "500")
        await terminal.until("> ")
        terminal.press("\x03")
        await terminal.until("(Ctrl-D or /exit ends the chat)")
        terminal.press("Hi\r")
        site.engine.step(4)
        await terminal.until("u:Hi")
        terminal.press("\x03")
        assert "4 tokens" in await terminal.until("(ended by you)]")
        await site.until_idle()
        terminal.press("so?\r")
        site.engine.step(12)
        await terminal.until("u:Hi;a:u:Hi;")
        terminal.press("\x03")
        await terminal.until("(ended by you)]")
        await terminal.until("> ")
        terminal.press("\x04")
        assert 0 == await terminal.ended()
