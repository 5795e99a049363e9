"""All that it takes to open and run one decoder with a KV cache: from its files, and from its graph."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from headrace.datatype_names import Datatype
from headrace.language.decoder_ends import DecoderEnds, find_ends
from headrace.language.genai_config import GenaiConfig, read_genai_config
from headrace.language.graph_ends import GraphEnds
from headrace.language.hugging_face_config import (
    HuggingFaceConfig,
    check_layer_types,
    read_hugging_face_config,
)
from headrace.language.language_files import (
    invalid,
    read_added_tokens,
    token_ids,
    unsupported,
)
from headrace.state.language_records import LanguageFacts, SamplingDefaults, VersionKind

_BYTES = {Datatype.FP32: 4, Datatype.FP16: 2, Datatype.BF16: 2, Datatype.INT8: 1, Datatype.UINT8: 1}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_MOST_TOKENS = 10_000_000
_MOST_SIZE = 1 << 16
"""Of heads, and of numbers in one."""


@dataclass(frozen=True, slots=True)
class DecoderConfig:
    """A decoder as it is opened: its names, its sizes, and the tokens that end an answer."""

    architecture: str
    vocabulary_size: int
    """The width of the logits; the tokenizer may know fewer tokens."""
    context_length: int
    layers: int
    kv_heads: int
    head_size: int
    kv_datatype: Datatype
    logits_datatype: Datatype
    ends: DecoderEnds
    end_tokens: tuple[int, ...] = ()
    """Any of them ends an answer; none is known of a model that never ends by itself."""
    bos_token: int | None = None
    pad_token: int | None = None
    sliding_window: int = 0
    """How many tokens some of its layers look back at most, which the graph keeps to by itself; 0: all."""
    shares_buffer: bool = False
    """Whether past and present may be one buffer, into which the graph writes the new tokens' rows."""
    tokenizer_folder: str = ""
    """Where tokenizer.json lies, relative to the artifact; '' at its top."""
    sampling: SamplingDefaults = SamplingDefaults()
    """What the model's makers advise."""

    @property
    def kv_bytes_per_token(self) -> int:
        """The bytes of keys and values that one token keeps."""
        return 2 * self.layers * self.kv_heads * self.head_size * _BYTES[self.kv_datatype]

    def facts(
        self,
        tokenizer_digest: str,
        chat_template_digest: str,
        capabilities: tuple[str, ...],
        weights: str = "",
    ) -> LanguageFacts:
        """Return what is recorded of it; `capabilities` are those beside completing a text."""
        return LanguageFacts(
            kind=VersionKind.GENERATION,
            architecture=self.architecture,
            context_length=self.context_length,
            vocabulary_size=self.vocabulary_size,
            tokenizer_digest=tokenizer_digest,
            kv_bytes_per_token=self.kv_bytes_per_token,
            chat_template_digest=chat_template_digest,
            capabilities=("completion", *capabilities),
            weights=weights,
        )


def read_decoder_config(folder: Path, ends: GraphEnds) -> DecoderConfig:
    """Return how to open the decoder whose files lie in `folder` and whose graph has these ends.

    genai_config.json counts first, then the graph, then the files of Hugging Face. Raises InvalidArgument
    (LANGUAGE_FILES_INVALID, GENERATION_UNSUPPORTED).
    """
    genai = read_genai_config(folder) or GenaiConfig(graph_path="")
    told = read_hugging_face_config(folder)
    if not genai.graph_path:
        check_layer_types(folder)
    found = find_ends(ends, genai.input_names or {}, genai.output_names or {})
    kv_heads, head_size, kv_datatype = _kv_cache(genai, told, ends, found)
    logits = ends.outputs[found.logits]
    return DecoderConfig(
        architecture=_architecture(genai.model_type or told.model_type),
        vocabulary_size=_vocabulary_size(genai, told, logits.shape[-1]),
        context_length=_context_length(genai, told),
        layers=_layers(genai, found),
        kv_heads=kv_heads,
        head_size=head_size,
        kv_datatype=kv_datatype,
        logits_datatype=_of(logits.datatype, found.logits, (Datatype.FP32, Datatype.FP16)),
        ends=found,
        end_tokens=_end_tokens(folder / genai.tokenizer_folder, genai, told),
        bos_token=genai.bos_token if genai.bos_token is not None else told.bos_token,
        pad_token=genai.pad_token if genai.pad_token is not None else told.pad_token,
        sliding_window=told.sliding_window,
        shares_buffer=genai.shares_buffer,
        tokenizer_folder=genai.tokenizer_folder,
        sampling=_sampling(told.sampling, genai.sampling),
    )


def _architecture(named: str) -> str:
    """Return the name of the family; it is shown to people, so nothing else than a name counts."""
    return named if _NAME.fullmatch(named) else "decoder"


def _bounded(name: str, size: int, most: int) -> int:
    if size > most:
        raise invalid(f"its {name} is {str(size)[:20]}, and at most {most} is taken")
    return size


def _layers(genai: GenaiConfig, found: DecoderEnds) -> int:
    layers = len(found.past_keys)
    if genai.layers and genai.layers != layers:
        raise invalid(
            f"genai_config.json says num_hidden_layers {genai.layers}, and the graph keeps keys and "
            f"values of {layers} layers"
        )
    return layers


def _kv_cache(
    genai: GenaiConfig, told: HuggingFaceConfig, ends: GraphEnds, found: DecoderEnds
) -> tuple[int, int, Datatype]:
    """Return the KV cache's heads, their size and their datatype, which are the same in all layers."""
    kept = {ends.inputs[name] for name in (*found.past_keys, *found.past_values)}
    if len(kept) != 1:
        raise unsupported(
            "the layers of its graph keep keys and values of different shapes or datatypes"
        )
    past = kept.pop()
    if len(past.shape) != 4 or past.shape[2] != -1:
        raise unsupported(
            f"{found.past_keys[0]!r} has the shape {list(past.shape)}: past keys are taken in the form "
            "[batch, heads, tokens, size], with any number of tokens"
        )
    heads = _agreed("num_key_value_heads", past.shape[1], genai.kv_heads, told.kv_heads)
    size = _agreed("head_size", past.shape[3], genai.head_size, told.head_size)
    heads, size = (
        _bounded("num_key_value_heads", heads, _MOST_SIZE),
        _bounded("head_size", size, _MOST_SIZE),
    )
    return heads, size, _of(past.datatype, found.past_keys[0], tuple(_BYTES))


def _agreed(name: str, of_graph: int, of_genai: int, of_others: int) -> int:
    if of_graph > 0 and of_genai > 0 and of_graph != of_genai:
        raise invalid(f"genai_config.json says {name} {of_genai}, and the graph {of_graph}")
    size = max(of_graph, 0) or of_genai or of_others
    if size <= 0:
        raise invalid(
            f"neither the graph nor genai_config.json or config.json says {name}: add the file that does"
        )
    return size


def _of(found: Datatype | None, name: str, allowed: tuple[Datatype, ...]) -> Datatype:
    if found not in allowed:
        raise unsupported(f"{name!r} has the datatype {found}; it may have: {', '.join(allowed)}")
    return found


def _vocabulary_size(genai: GenaiConfig, told: HuggingFaceConfig, of_graph: int) -> int:
    size = genai.vocabulary_size or told.vocabulary_size
    if of_graph > 0 and genai.vocabulary_size > 0 and of_graph != genai.vocabulary_size:
        raise invalid(
            f"genai_config.json says vocab_size {genai.vocabulary_size}, and the logits are {of_graph} wide"
        )
    if of_graph <= 0 and size <= 0:
        raise invalid("neither its graph nor its config says how wide the logits are (vocab_size)")
    return _bounded("vocab_size", of_graph if of_graph > 0 else size, _MOST_TOKENS)


def _context_length(genai: GenaiConfig, told: HuggingFaceConfig) -> int:
    length = genai.context_length or told.context_length
    if length <= 0:
        raise invalid(
            "no file says its context length: genai_config.json has it as model.context_length, "
            "config.json as max_position_embeddings, tokenizer_config.json as model_max_length"
        )
    # A graph that leaves the window to the runtime is right up to there, and wrong beyond.
    window = genai.sliding_window if genai.sliding_window > 0 else length
    return _bounded("context length", min(length, window), _MOST_TOKENS)


def _end_tokens(folder: Path, genai: GenaiConfig, told: HuggingFaceConfig) -> tuple[int, ...]:
    """Return what a config calls ends, and the token that the tokenizer's config calls the end of a turn.

    Models of chats often have the latter there alone, and would go on with the user's next words.
    """
    named = genai.end_tokens or told.end_tokens
    of_turn = read_added_tokens(folder / "tokenizer.json") if told.end_text else []
    by_text = (token_ids(one, "id") for one in of_turn if one.get("content") == told.end_text)
    return tuple(dict.fromkeys((*named, *(token for tokens in by_text for token in tokens))))


def _sampling(first: SamplingDefaults, other: SamplingDefaults) -> SamplingDefaults:
    """Return what the first says, and of the other what it leaves open."""
    held: Mapping[str, float | None] = {
        one.name: getattr(other, one.name)
        if getattr(first, one.name) is None
        else getattr(first, one.name)
        for one in fields(first)
    }
    return SamplingDefaults(**held)  # type: ignore[arg-type]  # top_k is an int in both
