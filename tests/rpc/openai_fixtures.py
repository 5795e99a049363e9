"""A replica whose one model says its prompt again and again, spoken to as OpenAI's clients do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from openai import AsyncOpenAI

from headrace.datatypes import Datatype
from headrace.language.chats.tool_forms import PLAIN_FORM
from headrace.language.chats.tool_reader import ToolAnswers
from headrace.language.triton_form import GENERATION_SIGNATURE
from headrace.state.records import VersionRecord
from headrace_inference.domain.generation.model import ChatMessage, Tool
from tests.rpc.grpc_fixtures import GrpcReplica, open_grpc_replica
from tests.rpc.rest_fixtures import echo
from tests.unit.inference.text_doubles import FACTS, EchoRunner

MODEL = "echo-FP32"
CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"


class LetterChat:
    """Writes a conversation as the texts of its messages, one after the other."""

    def prompt(
        self,
        messages: Sequence[ChatMessage],
        tools: Sequence[Tool] = (),
        *,
        continues_last: bool = False,
        variables: Mapping[str, Any] | None = None,
    ) -> list[int]:
        """The letters of it."""
        text = "".join(map(_text, messages))
        return list(text.encode("latin-1"))

    def tool_answers(self, tools: Sequence[Tool], *, must: bool, several: bool) -> ToolAnswers:
        """Calls between `<tool_call>` and `</tool_call>`."""
        return ToolAnswers(PLAIN_FORM.free(tools, several=several), PLAIN_FORM)


def _text(message: ChatMessage) -> str:
    content = message["content"] or ""
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in content)


@dataclass
class Talking:
    """A replica that generates, and clients of it."""

    replica: GrpcReplica
    runner: EchoRunner
    session: aiohttp.ClientSession
    client: AsyncOpenAI

    async def post(self, path: str, body: object) -> tuple[int, Any]:
        """The status and the JSON of an answer to a body: bytes as they are, all else as JSON."""
        data = body if isinstance(body, bytes) else msgspec.json.encode(body)
        async with self.session.post(path, data=data) as response:
            return response.status, await response.json()

    async def events(self, path: str, body: dict[str, object]) -> list[Any]:
        """The events of a streamed answer, in JSON but for the last."""
        data = msgspec.json.encode(body | {"stream": True})
        async with self.session.post(path, data=data) as response:
            assert response.status == 200, await response.text()
            text = (await response.read()).decode()
        lines = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
        return [line if line == "[DONE]" else msgspec.json.decode(line) for line in lines]

    def counted(self) -> tuple[int, dict[str, int]]:
        """The successes and the errors of the version."""
        totals = self.replica.ingress.book.of(MODEL, 1).totals()
        return totals.successes, dict(totals.errors)


@asynccontextmanager
async def talking(
    folder: Path, *, gated: bool = False, chats: bool = True, **options: Any
) -> AsyncIterator[Talking]:
    """The replica, ready, and its clients, while inside."""
    model = echo(Datatype.FP32)
    record = replace(model.record, signature=GENERATION_SIGNATURE, language=FACTS)
    opened: list[EchoRunner] = []

    def open_model(path: Path, record: VersionRecord) -> EchoRunner:
        runner = EchoRunner(gated=gated)
        runner.generative.chat = LetterChat() if chats else None
        opened.append(runner)
        return runner

    model = replace(model, record=record)
    async with open_grpc_replica(folder, model, open_model=open_model, **options) as replica:
        base = f"http://{replica.http_address}"
        async with (
            aiohttp.ClientSession(base) as session,
            AsyncOpenAI(base_url=f"{base}/v1", api_key="none", max_retries=0) as client,
        ):
            yield Talking(replica, opened[0], session, client)
