"""Finds the options of a generation among a request's members, and refuses by name what is not offered."""

from __future__ import annotations

from collections.abc import Mapping

from headrace_inference.wire.openai.bodies import Members, unsupported

NAMES: Mapping[str, str] = {
    name: name
    for name in (
        "temperature",
        "top_p",
        "top_k",
        "min_p",
        "typical_p",
        "seed",
        "stop",
        "presence_penalty",
        "frequency_penalty",
        "repetition_penalty",
        "logit_bias",
        "min_tokens",
        "ignore_eos",
        "stop_token_ids",
        "skip_special_tokens",
        "prompt_logprobs",
    )
} | {"n": "choices", "include_stop_str_in_output": "include_stop_string"}
"""Our names of options, by those of OpenAI and vLLM."""

WIRE_NAMES: Mapping[str, str] = {ours: theirs for theirs, ours in NAMES.items()}
"""What errors call them."""

_REFUSED: Mapping[str, tuple[object, ...]] = {
    "functions": (),
    "function_call": (),
    "audio": (),
    "web_search_options": (),
    "modalities": (["text"],),
    "use_beam_search": (False,),
    "bad_words": ([],),
    "allowed_token_ids": (),
    "logprob_token_ids": (),
    "truncate_prompt_tokens": (),
    "logits_processors": ([],),
    "prompt_embeds": (),
    "chat_template": (),
    "priority": (0,),
    "suffix": ("",),
    "vllm_xargs": ({},),
    "kv_transfer_params": (),
    "mm_processor_kwargs": (),
}
"""Members that would change the answer, each with the values that would not."""

_HINTS: Mapping[str, str] = {
    "functions": "; use 'tools'",
    "function_call": "; use 'tool_choice'",
    "chat_template": ": a template is code, and only that of the version is run",
    "priority": ": a version's queue has its own levels",
}


def refuse_unsupported(members: Members) -> None:
    """Raise InvalidArgument (PARAMETER_UNSUPPORTED) for a member that would change the answer."""
    for name, harmless in _REFUSED.items():
        value = members.get(name)
        if value is not None and not any(
            value == one and type(value) is type(one) for one in harmless
        ):
            raise unsupported(name, f"'{name}' is not offered here{_HINTS.get(name, '')}")


def options_in(members: Members) -> dict[str, object]:
    """The options of a request, by our names; what they are is not looked at."""
    found = {ours: members[theirs] for theirs, ours in NAMES.items() if theirs in members}
    if found.get("seed") == -1 and not isinstance(found["seed"], bool):  # vLLM's word for none
        del found["seed"]
    return found
