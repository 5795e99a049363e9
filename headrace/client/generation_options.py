"""Declares the options of generation, as keyword arguments and as a message."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypedDict

from headrace import errors
from headrace.inference.v1 import generation_service_pb2 as pb


class GenerationOptions(TypedDict, total=False):
    """Options of `generate` and `chat`. What is left out, or None, is as the serving config says."""

    max_tokens: int | None
    """The most tokens of an answer; otherwise to the end of the context."""
    min_tokens: int | None
    temperature: float | None
    """0 takes the most probable token; at most 2."""
    top_k: int | None
    top_p: float | None
    min_p: float | None
    typical_p: float | None
    repetition_penalty: float | None
    presence_penalty: float | None
    frequency_penalty: float | None
    logit_bias: Mapping[int, float] | None
    seed: int | None
    """The same seed, version and request give the same answer."""
    stop: str | Sequence[str] | None
    """Texts that end the answer."""
    stop_token_ids: Sequence[int] | None
    ignore_eos: bool
    include_stop_string: bool
    skip_special_tokens: bool | None
    n: int | None
    """So many answers to one prompt."""
    logprobs: int | None
    """Scores each token, and so many of the most probable beside it."""
    prompt_logprobs: int | None
    priority: int
    """The level in the queue: 1 is the highest."""
    json_schema: str | Mapping[str, Any] | None
    """The answer is JSON that this schema allows."""
    json_object: bool
    """The answer is a JSON object."""
    regex: str | None
    """The answer is what this regular expression matches."""
    lark: str | None
    """The answer is what this grammar, in Lark, derives."""
    one_of: Sequence[str] | None
    """The answer is one of these texts."""


_SAMPLING = (
    *("max_tokens", "min_tokens", "temperature", "top_k", "top_p", "min_p", "typical_p"),
    *("repetition_penalty", "presence_penalty", "frequency_penalty", "logit_bias", "seed"),
    *("stop_token_ids", "ignore_eos", "include_stop_string", "skip_special_tokens"),
)
_GRAMMARS = ("json_schema", "json_object", "regex", "lark", "one_of")
_OF_REQUEST = ("n", "logprobs", "prompt_logprobs", "priority")


def set_options(request: pb.GenerateRequest, options: GenerationOptions) -> None:
    """Write options into a request. Raises TypeError for unknown ones, InvalidArgument for two grammars."""
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    if unknown := [name for name in given if name not in GenerationOptions.__annotations__]:
        known = ", ".join(sorted(GenerationOptions.__annotations__))
        raise TypeError(f"{unknown[0]!r} is not an option of generation: {known}")
    with _held_by_a_message():
        request.MergeFrom(pb.GenerateRequest(**_taken(given, _OF_REQUEST)))
        request.options.MergeFrom(pb.GenerationOptions(**_taken(given, _SAMPLING)))
        request.options.stop.extend(_texts(given.get("stop", ())))
        if grammar := _grammar(_taken(given, _GRAMMARS)):
            request.grammar.CopyFrom(grammar)


def _taken(given: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: given[name] for name in names if name in given}


def _texts(value: str | Sequence[str]) -> Sequence[str]:
    return (value,) if isinstance(value, str) else value


def _grammar(given: Mapping[str, Any]) -> pb.Grammar | None:
    wanted = {name: value for name, value in given.items() if value is not False}
    if len(wanted) > 1:
        raise errors.InvalidArgument(
            "PARAMETER_INVALID", f"one of {', '.join(_GRAMMARS)} at most, got {', '.join(wanted)}"
        )
    for name, value in wanted.items():
        if name == "one_of":
            return pb.Grammar(choices=pb.Choices(texts=value))
        if name == "json_schema" and not isinstance(value, str):
            value = json.dumps(value)
        return pb.Grammar(**{name: value})
    return None


@contextmanager
def _held_by_a_message() -> Iterator[None]:
    """While inside, a number that a message does not hold is an InvalidArgument (PARAMETER_INVALID)."""
    try:
        yield
    except ValueError as error:
        raise errors.InvalidArgument("PARAMETER_INVALID", str(error)) from error
