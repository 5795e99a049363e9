"""Answers completions: prompts without a chat template, each with one or several answers."""

from __future__ import annotations

from dataclasses import replace

from headrace.service.http.answers import Response
from headrace_inference.domain.generation.model import GenerativeModel
from headrace_inference.domain.generation.options import check_characters
from headrace_inference.domain.generation.requests import GenerationRequest
from headrace_inference.domain.ingress.language_calls import LanguageCall
from headrace_inference.wire.openai.answer_head import answer_head
from headrace_inference.wire.openai.bodies import Members
from headrace_inference.wire.openai.completion_answers import (
    CompletionForm,
    StreamedCompletions,
    WholeCompletions,
)
from headrace_inference.wire.openai.completion_body import (
    CompletionBody,
    Prompt,
    completion_body,
)
from headrace_inference.wire.openai.event_answers import stream_answer
from headrace_inference.wire.openai.grammars import checked_grammar, grammar_of
from headrace_inference.wire.openai.option_names import options_in, refuse_unsupported
from headrace_inference.wire.openai.port import OpenAiPort, Received, aside
from headrace_inference.wire.openai.scores import TokenTexts
from headrace_inference.wire.openai.streams import read_all, usage_of
from headrace_inference.wire.openai.text_requests import Asked, generation_request
from headrace_inference.wire.openai.tokens import check_tokens

DEFAULT_MAX_TOKENS = 16
"""As OpenAI has it for completions."""


class CompletionRoutes:
    """Decodes, has it generated, encodes the answers."""

    def __init__(self, port: OpenAiPort) -> None:
        self._port = port

    async def complete(self, received: Received) -> Response:
        """Go on from each prompt."""
        async with self._port.call(received) as (call, members):
            model = call.generative
            body, requests = await aside(len(received.body), _planned, model, members)
            grammar = await checked_grammar(model, grammar_of(body))
            if grammar is not None:
                requests = [replace(request, grammar=grammar) for request in requests]
            form = _form(call, body, requests)
            streams = [call.generate(request) for request in requests]
            if body.stream:
                return await stream_answer(received, call, streams, StreamedCompletions(form))
            whole = WholeCompletions(form)
            await read_all(streams, whole.take)
            return whole.response(usage_of(streams))


def _planned(
    model: GenerativeModel, members: Members
) -> tuple[CompletionBody, list[GenerationRequest]]:
    """The completion that these members ask for, and a generation for each prompt.

    Raises InvalidArgument.
    """
    refuse_unsupported(members)
    body = completion_body(members)
    prompts = [_tokens(model, prompt, body) for prompt in body.prompts]
    return body, [_request(model, prompt, members, body) for prompt in prompts]


def _tokens(model: GenerativeModel, prompt: Prompt, body: CompletionBody) -> list[int]:
    if isinstance(prompt, str):
        check_characters(model, len(prompt))
        adds = body.add_special_tokens is not False
        return model.codec.encode(prompt, add_special_tokens=adds, parse_special=True)
    check_tokens(model, prompt, "prompt")
    return prompt


def _request(
    model: GenerativeModel, prompt: list[int], members: Members, body: CompletionBody
) -> GenerationRequest:
    options = options_in(members)
    options["max_tokens"] = DEFAULT_MAX_TOKENS if body.max_tokens is None else body.max_tokens
    if body.logprobs is not None:
        options["logprobs"] = body.logprobs
        if body.echo:
            options.setdefault("prompt_logprobs", body.logprobs)
    if body.max_tokens == 0:
        options.setdefault("prompt_logprobs", 0)  # else nothing would be done at all
    return generation_request(model, Asked(prompt, options), body, {})


def _form(
    call: LanguageCall, body: CompletionBody, requests: list[GenerationRequest]
) -> CompletionForm:
    codec = call.generative.codec
    echoed = [""] * len(requests)
    if body.echo:
        echoed = [
            prompt
            if isinstance(prompt, str)
            else codec.decode(prompt, skip_special_tokens=requests[0].skip_special_tokens)
            for prompt in body.prompts
        ]
    return CompletionForm(
        head=answer_head("cmpl-", "text_completion", body.model, call.version.record),
        prompts=[request.prompt for request in requests],
        echoed=echoed,
        choices=requests[0].choices,
        texts=TokenTexts(codec, as_ids=bool(body.return_tokens_as_token_ids)),
        ends=call.generative.end_tokens,
        is_scored=body.logprobs is not None,
        echoes=bool(body.echo),
        has_tokens=bool(body.return_token_ids),
        has_prompt_scores=requests[0].prompt_logprobs is not None and not body.echo,
        with_usage=body.usage_in_stream,
        usage_in_each=body.usage_in_each,
    )
