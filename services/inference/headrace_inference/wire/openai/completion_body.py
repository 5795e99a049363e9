"""The body of a completion: prompts as texts or tokens, and the older form of log-probabilities."""

from __future__ import annotations

from typing import Annotated

import msgspec

from headrace_inference.wire.openai.bodies import Members, known, unsupported, wrong
from headrace_inference.wire.openai.chat_body import Small, TextBody, check_stream

MAX_ANSWERS = 1024
"""Of one request: prompts, times `n`."""

Prompt = str | list[int]


class CompletionBody(TextBody, frozen=True, kw_only=True):
    """Prompts, and how they go on."""

    prompt: str | list[str | int | list[int]]
    max_tokens: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] | None = None
    logprobs: Small | None = None
    best_of: Small | None = None
    n: Small | None = None

    @property
    def prompts(self) -> list[Prompt]:
        """Each of them. Raises InvalidArgument for a list of several kinds."""
        given = self.prompt
        if isinstance(given, str):
            return [given]
        if not given:
            raise wrong("prompt", "'prompt' is an empty list; it has to have at least one prompt")
        if all(isinstance(one, int) for one in given):
            return [[one for one in given if isinstance(one, int)]]
        prompts = [one for one in given if not isinstance(one, int)]
        if len(prompts) < len(given) or len({type(one) for one in prompts}) > 1:
            raise wrong(
                "prompt",
                "'prompt' has to be a text, a list of texts, a list of token ids, or a list of such lists",
            )
        return prompts


def completion_body(members: Members) -> CompletionBody:
    """The completion that these members ask for. Raises InvalidArgument."""
    body = known(CompletionBody, members)
    check_stream(body)
    choices = body.n or 1
    if body.best_of is not None and body.best_of != choices:
        raise unsupported("best_of", "'best_of' is offered only where it equals 'n'")
    if len(body.prompts) * choices > MAX_ANSWERS:
        raise wrong(
            "prompt",
            f"{len(body.prompts)} prompts of {choices} answers each are more than the {MAX_ANSWERS} "
            "answers that a request may ask for; send several requests",
        )
    if body.max_tokens == 0 and not body.echo:
        raise wrong("max_tokens", "'max_tokens' can be 0 only where 'echo' is true")
    if body.stream and "prompt_logprobs" in members:
        raise unsupported("prompt_logprobs", "'prompt_logprobs' is not offered in streams")
    return body
