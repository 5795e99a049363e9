"""Makes generations of what chats and completions ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headrace_inference.domain.generation.model import GenerativeModel
from headrace_inference.domain.generation.options import request_options
from headrace_inference.domain.generation.requests import GenerationRequest, Grammar
from headrace_inference.wire.openai.chat_body import TextBody
from headrace_inference.wire.openai.option_names import WIRE_NAMES


@dataclass(frozen=True, slots=True)
class Asked:
    """A prompt, and the options of its answer by our names."""

    prompt: Sequence[int]
    options: Mapping[str, object]
    grammar: Grammar | None = None


def generation_request(
    model: GenerativeModel, asked: Asked, body: TextBody, names: Mapping[str, str]
) -> GenerationRequest:
    """The generation; `names` are what the wire calls options beside those that all have. Raises."""
    checked = request_options(model, asked.options, len(asked.prompt), {**WIRE_NAMES, **names})
    return GenerationRequest(
        prompt=asked.prompt,
        stop=checked.stop,
        sampling=checked.sampling,
        choices=checked.choices,
        grammar=asked.grammar,
        logprobs=checked.logprobs,
        prompt_logprobs=checked.prompt_logprobs,
        skip_special_tokens=checked.skip_special_tokens,
        reuses_prefix=not body.cache_salt,
    )
