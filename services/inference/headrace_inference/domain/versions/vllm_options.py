"""Reads options of generation under vLLM's names, as Triton's clients write them."""

from __future__ import annotations

from collections.abc import Mapping

from headrace.errors import InvalidArgument

_OURS = {
    "frequency_penalty": "frequency_penalty",
    "ignore_eos": "ignore_eos",
    "include_stop_str_in_output": "include_stop_string",
    "logit_bias": "logit_bias",
    "logprobs": "logprobs",
    "max_tokens": "max_tokens",
    "min_p": "min_p",
    "min_tokens": "min_tokens",
    "n": "choices",
    "presence_penalty": "presence_penalty",
    "repetition_penalty": "repetition_penalty",
    "seed": "seed",
    "skip_special_tokens": "skip_special_tokens",
    "stop": "stop",
    "stop_token_ids": "stop_token_ids",
    "temperature": "temperature",
    "top_k": "top_k",
    "top_p": "top_p",
    "typical_p": "typical_p",
}
VLLM_NAMES = {ours: theirs for theirs, ours in _OURS.items()}
"""What callers call an option, by our name of it."""
_HARMLESS: Mapping[str, object] = {
    "best_of": 1,
    "detokenize": True,
    "length_penalty": 1.0,
    "spaces_between_special_tokens": True,
    "use_beam_search": False,
}
"""Options that are not supported, with the values by which they ask for nothing."""
_UNSUPPORTED = frozenset(
    {
        "allowed_token_ids",
        "bad_words",
        "early_stopping",
        "guided_decoding",
        "logits_processors",
        "prompt_logprobs",
        "structured_outputs",
        "truncate_prompt_tokens",
    }
)
_TEXTS = frozenset({"stop", "logit_bias", "stop_token_ids"})


def vllm_options(given: Mapping[str, object], *, is_all: bool) -> dict[str, object]:
    """The options under our names; numbers and flags may be texts.

    What is no option is refused where these are options and nothing else (`is_all`); among the parameters
    of a request it may be what a route looks at. Raises InvalidArgument (OPTION_UNSUPPORTED,
    OPTION_UNKNOWN).
    """
    options: dict[str, object] = {}
    for name, value in given.items():
        if name in _OURS:
            options[_OURS[name]] = value if name in _TEXTS else _plain(value)
        elif value is not None:
            _check_harmless(name, _plain(value), is_all=is_all)
    return options


def _check_harmless(name: str, value: object, *, is_all: bool) -> None:
    if name in _UNSUPPORTED or (name in _HARMLESS and value != _HARMLESS[name]):
        raise InvalidArgument(
            "OPTION_UNSUPPORTED",
            f"option '{name}' is not supported in this form; leave it out",
            facts={"parameter": name},
        )
    if is_all and name not in _HARMLESS:
        raise InvalidArgument(
            "OPTION_UNKNOWN",
            f"'{name}' is no option of generation; the options are {', '.join(sorted(_OURS))}",
            facts={"parameter": name},
        )


def _plain(value: object) -> object:
    """The value that a text stands for, as older clients of Triton write numbers."""
    if not isinstance(value, str):
        return value
    if value.lower() in ("true", "false"):
        return value.lower() == "true"
    for kind in (int, float):
        try:
            return kind(value[:_MOST_DIGITS])
        except ValueError:
            continue
    return value


_MOST_DIGITS = 40
