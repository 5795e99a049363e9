"""Tells whether a graph encodes texts: which inputs it takes, and which output has vectors or scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from headrace.datatype_names import Datatype
from headrace.language.graph_ends import GraphEnd, GraphEnds

TOKENS = "input_ids"
MASK = "attention_mask"
TYPES = "token_type_ids"
POSITIONS = "position_ids"

_INPUTS = frozenset({TOKENS, MASK, TYPES, POSITIONS})
_TOKEN_OUTPUTS = ("last_hidden_state", "token_embeddings", "hidden_states")
_TEXT_OUTPUTS = ("sentence_embedding", "text_embeds")
_LOGITS = "logits"
_FLOATS = (Datatype.FP32, Datatype.FP16)


@dataclass(frozen=True, slots=True)
class EncoderGraph:
    """A graph that takes rows of tokens. An output is '' where the graph has none of that kind."""

    inputs: Mapping[str, Datatype]
    token_output: str
    """A vector for each token."""
    text_output: str
    """A vector for each text: the graph pools by itself."""
    logits: str
    """One number for each text."""
    sizes: Mapping[str, int]
    """The width of each of these outputs; -1 where the graph does not say."""
    fixed_length: int = 0
    """The only number of tokens that a row may have; 0: any."""
    fixed_rows: int = 0


def encoder_graph(ends: GraphEnds) -> EncoderGraph | None:
    """Return what a graph takes and gives if it encodes texts, else None."""
    if TOKENS not in ends.inputs or not ends.inputs.keys() <= _INPUTS:
        return None
    datatypes = {name: end.datatype for name, end in ends.inputs.items()}
    known = {
        name: datatype
        for name, datatype in datatypes.items()
        if datatype in (Datatype.INT64, Datatype.INT32)
    }
    if len(known) < len(datatypes) or any(len(end.shape) != 2 for end in ends.inputs.values()):
        return None
    rows, length = ends.inputs[TOKENS].shape
    outputs = ends.outputs
    return EncoderGraph(
        inputs=known,
        token_output=_find(outputs, 3, _TOKEN_OUTPUTS),
        text_output=_named(outputs, 2, _TEXT_OUTPUTS),
        logits=_logits(outputs),
        sizes={name: end.shape[-1] for name, end in outputs.items() if end.shape},
        fixed_length=max(0, length),
        fixed_rows=max(0, rows),
    )


def _find(outputs: Mapping[str, GraphEnd], rank: int, names: tuple[str, ...]) -> str:
    """Return the output of a known name, else the first that has the rank."""
    fitting = [name for name, end in outputs.items() if _fits(end, rank)]
    return _named(outputs, rank, names) or next(iter(fitting), "")


def _named(outputs: Mapping[str, GraphEnd], rank: int, names: tuple[str, ...]) -> str:
    return next((name for name in names if name in outputs and _fits(outputs[name], rank)), "")


def _logits(outputs: Mapping[str, GraphEnd]) -> str:
    """Return the output of one number a text: `logits`, or the only output."""
    name = _LOGITS if _LOGITS in outputs else next(iter(outputs), "")
    is_single = name == _LOGITS or len(outputs) == 1
    fits = is_single and _fits(outputs[name], 2) and outputs[name].shape[1] in (1, -1)
    return name if fits else ""


def _fits(end: GraphEnd, rank: int) -> bool:
    return end.datatype in _FLOATS and len(end.shape) == rank
