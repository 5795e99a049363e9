"""Rows of prompts: what a version that generates takes and gives in a batch, and how it is asked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from headrace.datatype_names import Datatype
from headrace.errors import InvalidArgument
from headrace.lifecycle.predictors import ServedPredictor
from headrace.lifecycle.predictors.predictor import Array, Tensors
from headrace.state.language_records import VersionKind
from headrace.state.records import Signature, TensorSpec

if TYPE_CHECKING:
    from headrace.client import AsyncClient, Version

MAX_TOKENS = 256
"""The most tokens of an answer."""
PROMPTS = Signature(
    (TensorSpec("prompt", Datatype.BYTES, (-1,)),),
    (
        TensorSpec("text", Datatype.BYTES, (-1,)),
        TensorSpec("finish_reason", Datatype.BYTES, (-1,)),
        TensorSpec("prompt_tokens", Datatype.INT64, (-1,)),
        TensorSpec("completion_tokens", Datatype.INT64, (-1,)),
    ),
)
"""Prompts and answers as columns."""


@dataclass(frozen=True, slots=True)
class TextOptions:
    """How answers are generated: the most probable tokens, where nothing else is said."""

    max_tokens: int = MAX_TOKENS
    temperature: float = 0.0
    seed: int = 0
    system: str = ""
    """The turn before each prompt, which says what is to be done with it."""
    json_schema: str = ""
    """Each answer is JSON that this schema allows."""
    raw: bool = False
    """Go on from the prompt itself, without the version's chat template."""


def is_generative(version: Version) -> bool:
    """Tell whether a version makes texts of prompts."""
    return version.language is not None and version.language.kind is VersionKind.GENERATION


def with_rows(version: Version) -> Version:
    """The version with the columns that a batch has of it."""
    return replace(version, signature=PROMPTS) if is_generative(version) else version


def text_options(version: Version, asked: TextOptions | None) -> TextOptions | None:
    """How a version is to generate; None for one that does not. Raises InvalidArgument (BATCH_INVALID)."""
    if not is_generative(version):
        if asked is None or asked == TextOptions():
            return None
        raise _invalid(f"version {version.number} of {version.model} generates no texts")
    options = asked or TextOptions()
    _check_schema(options)
    if options.system and (options.raw or not _can_chat(version)):
        raise _invalid(
            "a system text takes a chat template: leave it out, or put it into the prompts"
        )
    return options


class GeneratingPredictor(ServedPredictor):
    """Has a version generate an answer to each prompt, in the lowest level of its queue."""

    def __init__(
        self, client: AsyncClient, version: Version, options: TextOptions, in_flight: int
    ) -> None:
        super().__init__(client, version, rows_per_request=1, in_flight=in_flight)
        self._texts = client
        self._options = options
        self._chats = _can_chat(version) and not options.raw
        self._asked: dict[str, Any] = {
            "max_tokens": options.max_tokens,
            "temperature": options.temperature,
            "seed": options.seed,
            "priority": version.config.priorities.levels,
        }
        if options.json_schema:
            self._asked["json_schema"] = json.loads(options.json_schema)

    async def _send(self, piece: Tensors) -> Mapping[str, Array]:
        prompt = piece["prompt"].reshape(-1)[0].decode()
        name, number = self.version.model, self.version.number
        if self._chats:
            turns = [{"role": "user", "content": prompt}]
            if self._options.system:
                turns.insert(0, {"role": "system", "content": self._options.system})
            made = await self._texts.chat(name, turns, version=number, **self._asked)
        else:
            made = await self._texts.generate(name, prompt, version=number, **self._asked)
        return {
            "text": _text(made.text),
            "finish_reason": _text(str(made.choices[0].finish_reason)),
            "prompt_tokens": np.array([made.usage.prompt_tokens], np.int64),
            "completion_tokens": np.array([made.usage.completion_tokens], np.int64),
        }


def _check_schema(options: TextOptions) -> None:
    try:
        json.loads(options.json_schema or "{}")
    except ValueError as error:
        raise _invalid(f"the JSON Schema is no JSON: {error}") from error


def _can_chat(version: Version) -> bool:
    return version.language is not None and "chat" in version.language.capabilities


def _text(value: str) -> Array:
    return np.array([value], dtype=object)


def _invalid(what: str) -> InvalidArgument:
    return InvalidArgument("BATCH_INVALID", what)
