"""Answers responses, OpenAI's newer form of chats; nothing of them is kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from headrace.errors import HeadraceError, InvalidArgument
from headrace.service.http.answers import Response, json_response
from headrace_inference.domain.generation.model import GenerativeModel
from headrace_inference.domain.generation.requests import GeneratedChunk, Usage
from headrace_inference.domain.ingress.generation_stream import PromptScores
from headrace_inference.wire.openai.answer_parts import AnswerReader, CallPart, Part
from headrace_inference.wire.openai.bodies import Members
from headrace_inference.wire.openai.chats import ChatPlan, chat_plan
from headrace_inference.wire.openai.errors import PARAMETER
from headrace_inference.wire.openai.event_answers import EventAnswer, stream_answer
from headrace_inference.wire.openai.port import OpenAiPort, Received, aside
from headrace_inference.wire.openai.response_objects import (
    CallItem,
    MessageItem,
    OutputItem,
    ResponseObject,
    new_item,
)
from headrace_inference.wire.openai.responses_body import RENAMED, chat_members
from headrace_inference.wire.openai.streams import Piece, read_all, usage_of


class ResponseRoutes:
    """Decodes, has it generated as a chat, encodes."""

    def __init__(self, port: OpenAiPort) -> None:
        self._port = port

    async def respond(self, received: Received) -> Response:
        """Answer the input."""
        async with self._port.call(received) as (call, members):
            chat = await aside(len(received.body), chat_members, members)
            plan = await _plan(call.generative, chat, len(received.body))
            stream = call.generate(plan.request)
            writer = ResponseWriter(ResponseObject(members), plan.new_reader())
            if plan.body.stream:
                return await stream_answer(received, call, [stream], StreamedResponse(writer))
            await read_all([stream], writer.take_piece)
            writer.end(usage_of([stream]))
            return json_response(writer.response.members())


async def _plan(model: GenerativeModel, chat: Members, size: int) -> ChatPlan:
    """The plan of the chat; what is wrong has the name that it has in a response."""
    try:
        return await chat_plan(model, chat, size)
    except InvalidArgument as error:
        parameter = error.facts.get(PARAMETER, "")
        first, dot, rest = parameter.partition(".")
        name, bracket, place = first.partition("[")
        renamed = RENAMED.get(name)
        if renamed is None:
            raise
        message = error.message.replace(f"'{name}", f"'{renamed}")
        facts = {**error.facts, PARAMETER: f"{renamed}{bracket}{place}{dot}{rest}"}
        raise InvalidArgument(error.reason, message, facts=facts) from None


Event = tuple[str, Mapping[str, object]]


class ResponseWriter:
    """Makes items of what is generated, and tells each step as an event."""

    def __init__(self, response: ResponseObject, reader: AnswerReader) -> None:
        self.response = response
        self._reader = reader
        self._call = -1
        """The number of the call that is being written."""

    def take_piece(self, _: int, piece: Piece) -> None:
        """Take more, where nobody wants the events."""
        if not isinstance(piece, PromptScores):
            for chunk in piece:
                for _event in self.take(chunk):
                    pass

    def take(self, chunk: GeneratedChunk) -> Iterator[Event]:
        """Take more of the answer."""
        for part in self._reader.push(chunk.text):
            yield from self._take_part(part)
        if chunk.finish is not None:
            self.response.finish = chunk.finish
            for part in self._reader.finish():
                yield from self._take_part(part)
            if not self.response.output:
                yield from self._begin(MessageItem())
            yield from self._done()

    def end(self, usage: Usage) -> None:
        """All of it was generated."""
        self.response.usage = usage

    def _take_part(self, part: Part) -> Iterator[Event]:
        item = self.response.output[-1] if self.response.output else None
        if item is None or not self._continues(item, part):
            yield from self._done()
            item = new_item(part)
            yield from self._begin(item)
        if isinstance(item, MessageItem):
            assert isinstance(part, str)
            item.text += part
            yield "response.output_text.delta", self._in_part(item, delta=part, logprobs=[])
        else:
            assert isinstance(part, CallPart)
            self._call = part.index
            item.arguments += part.arguments
            if part.arguments:
                delta = self._of(item, delta=part.arguments)
                yield "response.function_call_arguments.delta", delta

    def _continues(self, item: OutputItem, part: Part) -> bool:
        if isinstance(part, str):
            return isinstance(item, MessageItem)
        return isinstance(item, CallItem) and part.index == self._call

    def _begin(self, item: OutputItem) -> Iterator[Event]:
        self.response.output.append(item)
        yield "response.output_item.added", self._item(item)
        if isinstance(item, MessageItem):
            yield "response.content_part.added", self._in_part(item, part=item.part())

    def _done(self) -> Iterator[Event]:
        """The item that was being written is whole."""
        if not self.response.output or self.response.output[-1].is_done:
            return
        item = self.response.output[-1]
        item.is_done = True
        if isinstance(item, MessageItem):
            done = self._in_part(item, text=item.text, logprobs=[])
            yield "response.output_text.done", done
            yield "response.content_part.done", self._in_part(item, part=item.part())
        else:
            done = self._of(item, arguments=item.arguments, name=item.name)
            yield "response.function_call_arguments.done", done
        yield "response.output_item.done", self._item(item)

    def _item(self, item: OutputItem) -> Mapping[str, object]:
        return {"output_index": len(self.response.output) - 1, "item": item.members()}

    def _of(self, item: OutputItem, **more: object) -> Mapping[str, object]:
        return {"item_id": item.id, "output_index": len(self.response.output) - 1, **more}

    def _in_part(self, item: OutputItem, **more: object) -> Mapping[str, object]:
        return self._of(item, content_index=0, **more)


class StreamedResponse(EventAnswer):
    """Writes the events of a response, which are named and numbered."""

    def __init__(self, writer: ResponseWriter) -> None:
        self._writer = writer
        self._number = 0

    def opening(self) -> bytes:
        """It has begun."""
        return b"".join(self._whole(kind) for kind in ("response.created", "response.in_progress"))

    def scored(self, number: int, scores: PromptScores) -> bytes:
        """Nothing: it has no place for them."""
        return b""

    def chunks(self, number: int, chunks: Sequence[GeneratedChunk]) -> bytes:
        """Write what is new."""
        return b"".join(
            [self._event(*event) for chunk in chunks for event in self._writer.take(chunk)]
        )

    def closing(self, usage: Usage) -> bytes:
        """It is complete, or was cut."""
        self._writer.end(usage)
        return self._whole(f"response.{self._writer.response.status}")

    def failure(self, error: HeadraceError) -> bytes:
        """It has failed."""
        self._writer.response.error = error
        return self._whole("response.failed")

    def _whole(self, kind: str) -> bytes:
        return self._event(kind, {"response": self._writer.response.members()})

    def _event(self, kind: str, members: Mapping[str, object]) -> bytes:
        numbered = {"type": kind, "sequence_number": self._number, **members}
        self._number += 1
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), msgspec.json.encode(numbered))
