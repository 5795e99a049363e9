"""Checks how a caller wants text generated, and fills in what is left open. Wires map names onto these."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headrace.errors import HeadraceError, InvalidArgument
from headrace_inference.domain.generation.model import GenerativeModel
from headrace_inference.domain.generation.requests import SamplingOptions, StopConditions

MAX_CHOICES = 128
MAX_LOGPROBS = 20
MAX_STOP_STRINGS = 64
MAX_STOP_LENGTH = 1024
MAX_STOP_TOKENS = 1024
MAX_BIASED_TOKENS = 4096
MAX_SEED = 2**63 - 1

_USUAL_CHARACTERS = 32
"""More than tokens of a text have in the mean, by far."""

Names = Mapping[str, str]
"""The name that a wire has for an option, where that is another one: errors say it."""


@dataclass(frozen=True, slots=True)
class CheckedOptions:
    """The options of a request, all within their ranges."""

    sampling: SamplingOptions
    stop: StopConditions
    choices: int = 1
    logprobs: int | None = None
    prompt_logprobs: int | None = None
    skip_special_tokens: bool = True


def request_options(
    model: GenerativeModel,
    asked: Mapping[str, object],
    prompt_tokens: int,
    names: Names | None = None,
) -> CheckedOptions:
    """The options that a request asks for, by our names; None and what is missing: it does not say.

    They are `max_tokens`, `min_tokens`, `temperature`, `top_k`, `top_p`, `min_p`, `typical_p`,
    `repetition_penalty`, `presence_penalty`, `frequency_penalty`, `logit_bias` (by token, as a number or a
    text), `seed`, `stop` (a text or a list), `stop_token_ids`, `ignore_eos`, `include_stop_string`,
    `choices`, `logprobs`, `prompt_logprobs` and `skip_special_tokens`. What a request leaves open is as the
    version's serving config says, else as OpenAI's defaults.

    Raises InvalidArgument (PARAMETER_INVALID, OPTION_UNKNOWN, CONTEXT_LENGTH_EXCEEDED).
    """
    reader = _Reader(
        {name: value for name, value in asked.items() if value is not None}, names or {}
    )
    reader.refuse_unknown()
    vocabulary = model.facts.vocabulary_size
    return CheckedOptions(
        sampling=_sampling(reader, model),
        stop=_stop(reader, model, prompt_tokens),
        choices=reader.integer("choices", 1, MAX_CHOICES) or 1,
        logprobs=reader.integer("logprobs", 0, min(MAX_LOGPROBS, vocabulary)),
        prompt_logprobs=reader.integer("prompt_logprobs", 0, min(MAX_LOGPROBS, vocabulary)),
        skip_special_tokens=reader.flag("skip_special_tokens", default=True),
    )


def context_length(model: GenerativeModel) -> int:
    """Return the most tokens of a prompt and its answer together."""
    longest = model.facts.context_length
    return min(model.config.context_length or longest, longest)


def check_prompt(model: GenerativeModel, prompt_tokens: int) -> int:
    """Return how many tokens an answer may have. Raises InvalidArgument where there is no room for one."""
    room = context_length(model) - prompt_tokens
    if not prompt_tokens:
        raise InvalidArgument(
            "PROMPT_EMPTY",
            "the prompt has no tokens, and this model has none to begin with; send some text",
        )
    if room < 1:
        raise _too_long(model, prompt_tokens, 1)
    return room


def check_characters(model: GenerativeModel, count: int) -> None:
    """Refuse a text that no tokenizer can make fit the context: making tokens of it might take minutes.

    Blocks for tenths of a second where a text is suspiciously long. Raises InvalidArgument.
    """
    longest = context_length(model)
    if count <= longest * _USUAL_CHARACTERS:
        return
    codec = model.codec
    most = longest * max(len(codec.token_bytes(token)) for token in range(codec.size))
    if count > most:
        raise InvalidArgument(
            "CONTEXT_LENGTH_EXCEEDED",
            f"the prompt has {count} characters, and this version's context of {longest} tokens holds "
            f"{most} at most: send a shorter prompt",
            facts={"limit": str(longest), "characters": str(count)},
        )


def _sampling(reader: _Reader, model: GenerativeModel) -> SamplingOptions:
    defaults, plain = model.config.sampling, SamplingOptions()
    top_k = reader.integer("top_k", -1, 2**31 - 1)
    return SamplingOptions(
        temperature=reader.number("temperature", 0, 2, defaults.temperature, plain.temperature),
        top_k=max(0, _first(top_k, defaults.top_k, plain.top_k)),
        top_p=reader.number("top_p", 0, 1, defaults.top_p, plain.top_p),
        min_p=reader.number("min_p", 0, 1, defaults.min_p, plain.min_p),
        typical_p=reader.number("typical_p", 0, 1, None, plain.typical_p),
        repetition_penalty=reader.number(
            "repetition_penalty", 0.01, 100, defaults.repetition_penalty, plain.repetition_penalty
        ),
        presence_penalty=reader.number("presence_penalty", -2, 2, None, plain.presence_penalty),
        frequency_penalty=reader.number("frequency_penalty", -2, 2, None, plain.frequency_penalty),
        logit_bias=reader.biases("logit_bias", model.facts.vocabulary_size),
        seed=reader.integer("seed", -MAX_SEED - 1, MAX_SEED),
    )


def _first(*values: int | None) -> int:
    return next(value for value in values if value is not None)


def _stop(reader: _Reader, model: GenerativeModel, prompt_tokens: int) -> StopConditions:
    room = check_prompt(model, prompt_tokens)
    least = 0 if reader.has("prompt_logprobs") else 1
    wanted = reader.integer("max_tokens", least, 2**31 - 1)
    if wanted is not None and wanted > room:
        raise _too_long(model, prompt_tokens, wanted)
    max_tokens = min(model.config.default_max_tokens or room, room) if wanted is None else wanted
    return StopConditions(
        max_tokens=max_tokens,
        min_tokens=reader.integer("min_tokens", 0, max_tokens) or 0,
        strings=reader.texts("stop"),
        token_ids=reader.tokens("stop_token_ids", model.facts.vocabulary_size),
        ignore_eos=reader.flag("ignore_eos"),
        include_stop_string=reader.flag("include_stop_string"),
    )


_KNOWN = frozenset(
    {
        "choices",
        "frequency_penalty",
        "ignore_eos",
        "include_stop_string",
        "logit_bias",
        "logprobs",
        "max_tokens",
        "min_p",
        "min_tokens",
        "presence_penalty",
        "prompt_logprobs",
        "repetition_penalty",
        "seed",
        "skip_special_tokens",
        "stop",
        "stop_token_ids",
        "temperature",
        "top_k",
        "top_p",
        "typical_p",
    }
)


class _Reader:
    """Reads options by name, and refuses what they must not be."""

    def __init__(self, asked: Mapping[str, object], names: Names) -> None:
        self._asked = asked
        self._names = names

    def refuse_unknown(self) -> None:
        """Raise InvalidArgument for a name that is none."""
        for name in self._asked:
            if name not in _KNOWN:
                raise InvalidArgument(
                    "OPTION_UNKNOWN",
                    f"'{name}' is no option of generation; the options are {', '.join(sorted(_KNOWN))}",
                    facts={"parameter": name},
                )

    def has(self, name: str) -> bool:
        """Tell whether the request says it."""
        return name in self._asked

    def number(
        self, name: str, least: float, most: float, default: float | None, otherwise: float
    ) -> float:
        """A number, finite and within its range."""
        value = self._asked.get(name)
        if value is None:
            return otherwise if default is None else default
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._invalid(name, "a number", value)
        if not (least <= value <= most and math.isfinite(value)):
            raise self._invalid(name, f"a number from {least:g} to {most:g}", value)
        return float(value)

    def integer(self, name: str, least: int, most: int) -> int | None:
        """A whole number within its range; None where the request does not say."""
        value = self._asked.get(name)
        if value is None:
            return None
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._invalid(name, "a whole number", value)
        if not least <= value <= most:
            raise self._invalid(name, f"a whole number from {least} to {most}", value)
        return value

    def flag(self, name: str, *, default: bool = False) -> bool:
        """True or false."""
        value = self._asked.get(name, default)
        if not isinstance(value, bool):
            raise self._invalid(name, "true or false", value)
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """A text, or a list of them, none empty."""
        value = self._asked.get(name, ())
        texts = _listed([value] if isinstance(value, str) else value, MAX_STOP_STRINGS)
        found = [text for text in texts or () if isinstance(text, str)]
        if texts is None or len(found) < len(texts) or not all(map(_is_stop, found)):
            wanted = (
                f"a text, or a list of up to {MAX_STOP_STRINGS} texts, each of 1 to {MAX_STOP_LENGTH} "
                "characters"
            )
            raise self._invalid(name, wanted, value)
        return tuple(dict.fromkeys(found))

    def tokens(self, name: str, vocabulary: int) -> frozenset[int]:
        """A list of token ids."""
        value = self._asked.get(name, ())
        listed = _listed(value, MAX_STOP_TOKENS)
        found = [
            token
            for token in listed or ()
            if isinstance(token, int) and not isinstance(token, bool) and 0 <= token < vocabulary
        ]
        if listed is None or len(found) < len(listed):
            wanted = f"a list of up to {MAX_STOP_TOKENS} token ids from 0 to {vocabulary - 1}"
            raise self._invalid(name, wanted, value)
        return frozenset(found)

    def biases(self, name: str, vocabulary: int) -> dict[int, float]:
        """Biases by token id, which JSON has as text."""
        value = self._asked.get(name, {})
        wanted = (
            f"an object of up to {MAX_BIASED_TOKENS} token ids from 0 to {vocabulary - 1}, each with a "
            "number from -100 to 100"
        )
        if not isinstance(value, Mapping) or len(value) > MAX_BIASED_TOKENS:
            raise self._invalid(name, wanted, value)
        biases: dict[int, float] = {}
        for key, bias in value.items():
            token = _token_id(key)
            is_number = isinstance(bias, int | float) and not isinstance(bias, bool)
            if token is None or token >= vocabulary or not is_number or not -100 <= bias <= 100:
                raise self._invalid(name, wanted, {key: bias})
            biases[token] = float(bias)
        return biases

    def _invalid(self, name: str, wanted: str, value: object) -> HeadraceError:
        name = self._names.get(name, name)
        shown = repr(value)
        shown = shown if len(shown) <= _MOST_SHOWN else f"{shown[:_MOST_SHOWN]}…"
        return InvalidArgument(
            "PARAMETER_INVALID",
            f"'{name}' must be {wanted}, not {shown}",
            facts={"parameter": name},
        )


_MOST_SHOWN = 80


def _listed(value: object, most: int) -> list[object] | None:
    """The members of a list that is not longer than that; None for what is no such list."""
    if not isinstance(value, Sequence) or isinstance(value, str | bytes) or len(value) > most:
        return None
    return list(value)


def _is_stop(text: str) -> bool:
    return 0 < len(text) <= MAX_STOP_LENGTH


def _token_id(key: object) -> int | None:
    if isinstance(key, str) and key.isascii() and key.isdigit() and len(key) <= 10:
        return int(key)
    return key if isinstance(key, int) and not isinstance(key, bool) and key >= 0 else None


def _too_long(model: GenerativeModel, prompt_tokens: int, wanted: int) -> HeadraceError:
    longest = context_length(model)
    return InvalidArgument(
        "CONTEXT_LENGTH_EXCEEDED",
        f"this version's context is {longest} tokens; the prompt has {prompt_tokens} and the answer may "
        f"have {wanted}, {prompt_tokens + wanted} together: send a shorter prompt, or ask for fewer tokens",
        facts={"limit": str(longest), "prompt_tokens": str(prompt_tokens)},
    )
