"""Finds the inputs and outputs of a decoder by the names that its config or its exporter gave them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from headrace.datatype_names import Datatype
from headrace.language.graph_ends import LOGITS_TO_KEEP, GraphEnds
from headrace.language.language_files import Config, text, unsupported

_PATTERNS = (
    ("past_key_values.%d.key", "past_key_values.%d.value", "present.%d.key", "present.%d.value"),
    (
        "past_key_values.%d.key",
        "past_key_values.%d.value",
        "present_key_values.%d.key",
        "present_key_values.%d.value",
    ),
    ("past_key_%d", "past_value_%d", "present_key_%d", "present_value_%d"),
    ("past_key_self_%d", "past_value_self_%d", "present_key_self_%d", "present_value_self_%d"),
)
"""How builders and exporters name past keys and values and present ones; the first is genai's default."""
_USE_CACHE_BRANCH = "use_cache_branch"


@dataclass(frozen=True, slots=True)
class DecoderEnds:
    """The names of a decoder's inputs and outputs; '' for what it has not."""

    input_ids: str
    """INT64 or INT32 [batch, new tokens]."""
    attention_mask: str
    """Of the datatype of the ids, [batch, past tokens + new tokens]; 1 for what counts."""
    position_ids: str
    """Of the datatype of the ids, [batch, new tokens]; '' where the graph counts by itself."""
    past_keys: tuple[str, ...]
    """By layer, [batch, heads, past tokens, size]."""
    past_values: tuple[str, ...]
    present_keys: tuple[str, ...]
    present_values: tuple[str, ...]
    logits: str
    """[batch, new tokens or 1, vocabulary]."""
    use_cache_branch: str = ""
    """BOOL [1] of optimum's merged decoders, always true: a prompt has a past of no tokens."""
    logits_to_keep: str = ""
    """INT64 scalar: how many of the last tokens get logits; 0: all."""
    ids_datatype: Datatype = Datatype.INT64


def find_ends(ends: GraphEnds, inputs: Config, outputs: Config) -> DecoderEnds:
    """Return the names of what a decoder graph takes and gives; its config may name them otherwise.

    Raises InvalidArgument (GENERATION_UNSUPPORTED): for an input too much, for a cache of another form.
    """
    names = _kv_names(ends, inputs, outputs)
    found = DecoderEnds(
        input_ids=_required(ends, text(inputs, "input_ids") or "input_ids"),
        attention_mask=_optional(ends, text(inputs, "attention_mask") or "attention_mask"),
        position_ids=_optional(ends, text(inputs, "position_ids") or "position_ids"),
        past_keys=names[0],
        past_values=names[1],
        present_keys=names[2],
        present_values=names[3],
        logits=_logits(ends, text(outputs, "logits") or "logits"),
        use_cache_branch=_optional(ends, _USE_CACHE_BRANCH),
        logits_to_keep=next((name for name in LOGITS_TO_KEEP if name in ends.inputs), ""),
    )
    _check_nothing_more(ends, found)
    return replace(found, ids_datatype=_ids_datatype(ends, found))


def has_kv_cache(ends: GraphEnds) -> bool:
    """Return whether a graph looks like a decoder: it takes tokens, and what was kept of earlier ones."""
    return "input_ids" in ends.inputs and any(name.startswith("past") for name in ends.inputs)


def _kv_names(ends: GraphEnds, inputs: Config, outputs: Config) -> tuple[tuple[str, ...], ...]:
    default = next((each for each in _PATTERNS if each[0] % 0 in ends.inputs), _PATTERNS[0])
    patterns = (
        text(inputs, "past_key_names") or default[0],
        text(inputs, "past_value_names") or default[1],
        text(outputs, "present_key_names") or default[2],
        text(outputs, "present_value_names") or default[3],
    )
    for pattern in patterns:
        if len(re.findall(r"%d", pattern)) != 1 or pattern.count("%") != 1:
            raise unsupported(
                f"the name {pattern[:80]!r} of its config has not one %d for the layer"
            )
    layers = _count(patterns[0], ends.inputs)
    if not layers:
        raise unsupported(
            f"its graph has no input {patterns[0] % 0!r}: a decoder is served with its KV cache; export it "
            "with past keys and values (optimum's task text-generation-with-past)"
        )
    names = tuple(tuple(pattern % layer for layer in range(layers)) for pattern in patterns)
    missing = [name for name in names[1] if name not in ends.inputs]
    missing += [name for each in names[2:] for name in each if name not in ends.outputs]
    if missing:
        raise unsupported(f"its graph keeps keys of {layers} layers, and has no {missing[0]!r}")
    return names


def _count(pattern: str, names: Mapping[str, object]) -> int:
    layer = 0
    while pattern % layer in names:
        layer += 1
    return layer


def _required(ends: GraphEnds, name: str) -> str:
    if name not in ends.inputs:
        raise unsupported(f"its graph has no input {name!r}; it has: {_listed(ends.inputs)}")
    return name


def _ids_datatype(ends: GraphEnds, found: DecoderEnds) -> Datatype:
    names = [name for name in (found.input_ids, found.attention_mask, found.position_ids) if name]
    datatypes = {ends.inputs[name].datatype for name in names}
    datatype = ends.inputs[found.input_ids].datatype
    if len(datatypes) > 1 or datatype not in (Datatype.INT64, Datatype.INT32):
        raise unsupported(
            f"its inputs {', '.join(names)} have the datatypes {', '.join(sorted(map(str, datatypes)))}: "
            "all of them have to be INT64, or all INT32"
        )
    return datatype


def _optional(ends: GraphEnds, name: str) -> str:
    return name if name in ends.inputs else ""


def _logits(ends: GraphEnds, name: str) -> str:
    if name not in ends.outputs:
        raise unsupported(f"its graph has no output {name!r}; it has: {_listed(ends.outputs)}")
    if len(ends.outputs[name].shape) != 3:
        raise unsupported(
            f"{name!r} has the shape {list(ends.outputs[name].shape)}: logits are taken in the form "
            "[batch, tokens, vocabulary]"
        )
    return name


def _check_nothing_more(ends: GraphEnds, found: DecoderEnds) -> None:
    known = {
        found.input_ids, found.attention_mask, found.position_ids, found.use_cache_branch,
        found.logits_to_keep, *found.past_keys, *found.past_values,
    }  # fmt: skip
    unknown = [name for name in ends.inputs if name not in known]
    if unknown:
        raise unsupported(
            f"its graph wants an input {unknown[0][:80]!r}, which the engine does not know how to give: it "
            "gives input_ids, attention_mask, position_ids and past keys and values"
        )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, [name[:80] for name in names][:10]))
