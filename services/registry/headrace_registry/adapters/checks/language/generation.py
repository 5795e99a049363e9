"""Recognises versions that generate text, and checks them: their files, their graph, and ten tokens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from headrace import errors
from headrace.datatype_names import Datatype
from headrace.language.advised_sampling import proposed_sampling
from headrace.language.decoder_config import DecoderConfig, read_decoder_config
from headrace.language.decoder_ends import has_kv_cache
from headrace.language.folder_layout import TOKENIZER
from headrace.language.genai_config import GENAI_CONFIG, read_genai_config
from headrace.language.language_files import invalid
from headrace.language.tokenizer import TextTokenizer, tokenizer_digest
from headrace.language.triton_form import GENERATION_SIGNATURE
from headrace.state.language_records import GenerationConfig, VersionKind
from headrace.state.records import ServingConfig
from headrace_registry.adapters.checks.language.candidate import Candidate, Check, CheckedText
from headrace_registry.adapters.checks.language.chat import check_chat
from headrace_registry.adapters.checks.language.ten_tokens import WANTED, write_tokens
from headrace_registry.adapters.checks.language.weights import weights_of

_UNFOLDED = ("fp16", "bf16")
"""Weights that the CPU has no arithmetic for: ONNX Runtime makes FP32 of them when it opens the graph."""
_GREETING = "Hello"


def recognise_generation(candidate: Candidate) -> Check | None:
    """Return the check of what genai_config.json describes, and of graphs that keep keys and values."""
    if candidate.kind not in (None, VersionKind.GENERATION):
        return None
    asked = candidate.kind is VersionKind.GENERATION
    if asked or GENAI_CONFIG in candidate.names or has_kv_cache(candidate.ends):
        return check_generation
    return None


def check_generation(candidate: Candidate) -> CheckedText:
    """Return the findings on a decoder.

    Raises InvalidArgument (LANGUAGE_FILES_INVALID, GENERATION_UNSUPPORTED, TOKENIZER_MISMATCH,
    CHAT_TEMPLATE_INVALID, GENERATION_FAILED, MODEL_REFUSED), FailedPrecondition (LANGUAGE_EXTRA_MISSING).
    """
    config = read_decoder_config(candidate.folder, candidate.ends)
    tokens = candidate.folder / config.tokenizer_folder
    tokenizer = _tokenizer(tokens / TOKENIZER, config)
    chat = check_chat(tokens, tokenizer)
    weights = weights_of(candidate.model)
    notices = _try(candidate, config, chat.prompt or _plain_prompt(tokenizer), weights)
    digest = tokenizer_digest(tokens / TOKENIZER)
    facts = config.facts(digest, chat.template_digest, chat.capabilities, weights)
    proposed = ServingConfig(
        generation=GenerationConfig(sampling=proposed_sampling(config.sampling))
    )
    notices = (*_windowed(candidate.folder), *_without_end(config), *notices)
    return CheckedText(facts, GENERATION_SIGNATURE, proposed, notices)


def _tokenizer(path: Path, config: DecoderConfig) -> TextTokenizer:
    if not path.is_file():
        raise invalid(f"it has no {TOKENIZER} beside its config: a text could not become tokens")
    tokenizer = TextTokenizer(path)
    named = {"the end": config.end_tokens, "its begin": _known(config.bos_token)}
    wide = f"the logits are {config.vocabulary_size} wide"
    if tokenizer.size > config.vocabulary_size:
        raise _mismatch(f"{path.name} has tokens up to {tokenizer.size - 1}, and {wide}")
    for what, tokens in named.items():
        if any(not 0 <= token < config.vocabulary_size for token in tokens):
            raise _mismatch(f"{what} is the token {max(tokens)}, and {wide}")
    return tokenizer


def _known(token: int | None) -> tuple[int, ...]:
    return () if token is None or token < 0 else (token,)


def _mismatch(what: str) -> errors.InvalidArgument:
    return errors.InvalidArgument(
        "TOKENIZER_MISMATCH",
        f"the language model is not taken: {what}; the tokenizer is that of another model, or of another "
        "version of it",
    )


def _windowed(folder: Path) -> tuple[str, ...]:
    genai = read_genai_config(folder)
    if genai is None or not 0 < genai.sliding_window < genai.context_length:
        return ()
    said = f"{genai.sliding_window} tokens instead of {genai.context_length}"
    return (f"context of {said}: its graph leaves the sliding window to whoever runs it",)


def _without_end(config: DecoderConfig) -> tuple[str, ...]:
    if config.end_tokens:
        return ()
    return ("no file names its end token: answers end at their longest, or by a stop string",)


def _plain_prompt(tokenizer: TextTokenizer) -> list[int]:
    return tokenizer.encode(_GREETING, add_special_tokens=True) or [0]


def _try(
    candidate: Candidate, config: DecoderConfig, prompt: Sequence[int], weights: str
) -> tuple[str, ...]:
    """Return what is to be said of ten tokens that follow a prompt."""
    needed, room = 2 * candidate.size_bytes, candidate.bounds.memory_bytes
    if weights in _UNFOLDED and needed > room:
        said = f"on a CPU its {weights} weights become {needed} bytes, and a check may take {room}"
        return (f"not tried: {said} (check_memory_bytes)",)
    if config.kv_datatype is Datatype.BF16:
        return ("not tried: its KV cache is BF16, which the check has no numbers for",)
    made = write_tokens(candidate.open(), config, prompt, candidate.bounds.deadline)
    if len(made) < WANTED:
        return (f"not tried at length: writing {len(made)} tokens took all of the check's time",)
    return ()
