"""Reads what the files beside a graph say of an encoder, in the layout of sentence-transformers.

`config.json` names the architecture. `modules.json` lists the steps behind the transformer, each with a
folder of its own: `1_Pooling/config.json` says how the vectors of tokens become one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from headrace import errors
from headrace.language.encoder_graph import EncoderGraph
from headrace.language.language_files import (
    Config,
    integer,
    part,
    read_config,
    read_objects,
    text,
)
from headrace.language.tokenizer import TOKENIZER_FILE
from headrace.state.language_records import EncodingConfig, LanguageFacts, Pooling, VersionKind

DEFAULT_CONTEXT_LENGTH = 512
"""Of files that say nothing of it; nearly all encoders have as many positions."""

_MOST_POSITIONS = 1 << 20
"""What a tokenizer's config has above that stands for "no limit"."""
_PADDED_POSITIONS = ("roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "mpnet", "longformer")
"""Their positions up to the number of the token that pads belong to padding, and no text gets them."""

_POOLINGS = {
    "pooling_mode_cls_token": Pooling.CLS,
    "pooling_mode_mean_tokens": Pooling.MEAN,
    "pooling_mode_max_tokens": Pooling.MAX,
    "pooling_mode_lasttoken": Pooling.LAST,
}
_POOLING_NAMES = {
    "cls": Pooling.CLS,
    "mean": Pooling.MEAN,
    "max": Pooling.MAX,
    "lasttoken": Pooling.LAST,
}


@dataclass(frozen=True, slots=True)
class EncoderFiles:
    """An encoder as its graph and its files describe it, and its serving config decides."""

    kind: VersionKind
    architecture: str
    graph: EncoderGraph
    output: str
    """The output of the graph that is asked for."""
    pooling: Pooling
    normalizes: bool
    context_length: int
    vocabulary_size: int
    embedding_size: int
    """The width of a vector; 1 of a score, and 0 where only a run can tell."""
    pad_token: int = 0
    first_position: int = 0
    """That of a text's first token, where the graph asks for positions."""
    lowercases: bool = False
    prompt: str = ""
    """A text that is put before each text, unless a caller brings his own."""
    dimensions: tuple[int, ...] = ()
    """To how many numbers a vector may be cut, by how it was trained; none: it may not."""

    def facts(
        self, tokenizer_digest: str, embedding_size: int = 0, weights: str = ""
    ) -> LanguageFacts:
        """Return what the registry records of it; `embedding_size` is what a run has shown."""
        size = embedding_size or self.embedding_size
        return LanguageFacts(
            kind=self.kind,
            architecture=self.architecture,
            context_length=self.context_length,
            vocabulary_size=self.vocabulary_size,
            tokenizer_digest=tokenizer_digest,
            capabilities=(str(self.kind),),
            weights=weights,
            embedding_size=0 if self.kind is VersionKind.RERANK else size,
            pooling=None if self.kind is VersionKind.RERANK else self.pooling,
            normalized=self.normalizes,
        )


def encoder_root(folder: Path, graph_path: str) -> Path | None:
    """Return where an encoder's files lie: beside its graph, or in the folder above; None where nowhere."""
    beside = (folder / graph_path).parent
    for root in dict.fromkeys((beside, folder)):
        if (root / TOKENIZER_FILE).is_file() and (root / "config.json").is_file():
            return root
    return None


def read_encoder_files(
    root: Path, graph: EncoderGraph, asked: EncodingConfig
) -> EncoderFiles | None:
    """Return what the files say of an encoder; None where they describe none, as of a classifier.

    Raises InvalidArgument (LANGUAGE_FILES_INVALID, ENCODER_UNSUPPORTED).
    """
    config = read_config(root / "config.json")
    if graph.fixed_rows > 1:
        raise _unsupported(
            f"its graph takes {graph.fixed_rows} texts at a time, no more and no less"
        )
    classifies = _architecture(config).endswith("ForSequenceClassification")
    if classifies and graph.logits and _labels(config, graph) == 1:
        return _described(root, config, graph, VersionKind.RERANK, graph.logits, Pooling.NONE)
    modules = _Modules(root)
    pooling = asked.pooling or modules.pooling
    if classifies or (pooling is None and not graph.text_output):
        return None
    if asked.pooling in (None, Pooling.NONE) and graph.text_output:
        output, pooling = graph.text_output, Pooling.NONE
    else:
        modules.refuse_unsupported(pooling_asked=asked.pooling is not None)
        output = graph.token_output
    if not output or pooling is None:
        return None
    normalizes = modules.normalizes if asked.normalize is None else asked.normalize
    kind = VersionKind.EMBEDDING
    return _described(root, config, graph, kind, output, pooling, normalizes=normalizes)


def _described(
    root: Path,
    config: Config,
    graph: EncoderGraph,
    kind: VersionKind,
    output: str,
    pooling: Pooling,
    *,
    normalizes: bool = False,
) -> EncoderFiles:
    size = graph.sizes[output]
    if size < 0:
        size = 1 if kind is VersionKind.RERANK else integer(config, "hidden_size", "d_model", "dim")
    sentence = read_config(root / "sentence_bert_config.json")
    return EncoderFiles(
        kind=kind,
        architecture=text(config, "model_type"),
        graph=graph,
        output=output,
        pooling=pooling,
        normalizes=normalizes,
        context_length=_context_length(root, config, sentence, graph),
        vocabulary_size=integer(config, "vocab_size"),
        embedding_size=size,
        pad_token=integer(config, "pad_token_id"),
        first_position=_first_position(config),
        lowercases=sentence.get("do_lower_case") is True,
        prompt=_default_prompt(root),
        dimensions=_dimensions(config, size) if kind is VersionKind.EMBEDDING else (),
    )


class _Modules:
    """The steps behind the transformer, as modules.json lists them."""

    def __init__(self, root: Path) -> None:
        self.pooling: Pooling | None = None
        self.normalizes = False
        self._unsupported = ""
        self._unsupported_pooling = ""
        for module in read_objects(root / "modules.json"):
            self._read(root, text(module, "type").rpartition(".")[2], text(module, "path"))

    def refuse_unsupported(self, *, pooling_asked: bool) -> None:
        """Raises InvalidArgument (ENCODER_UNSUPPORTED) for a step that is not done here."""
        pooling = "" if pooling_asked else self._unsupported_pooling
        if unsupported := self._unsupported or pooling:
            raise _unsupported(
                f"{unsupported}; export it with the whole of it in the graph, whose output is then "
                "'sentence_embedding'"
            )

    def _read(self, root: Path, name: str, path: str) -> None:
        if name == "Pooling":
            self._read_pooling(_pooling_config(root, path))
        elif name == "Normalize":
            self.normalizes = True
        elif name not in ("Transformer", "Dropout"):
            self._unsupported = f"modules.json has a step {name[:80]!r}, which is not supported"

    def _read_pooling(self, config: Config) -> None:
        if config.get("include_prompt") is False:
            self._unsupported = "its pooling leaves out the tokens of a prompt"
        named = text(config, "pooling_mode")
        asked = [
            key for key, held in config.items() if key.startswith("pooling_mode_") and held is True
        ]
        modes = [named] if named else asked
        known: Mapping[str, Pooling] = {**_POOLINGS, **_POOLING_NAMES}
        if len(modes) == 1 and modes[0] in known:
            self.pooling = known[modes[0]]
            return
        self.pooling = Pooling.MEAN  # refused, unless the graph pools by itself
        said = ", ".join(mode[:80] for mode in modes) or "none"
        self._unsupported_pooling = (
            f"its pooling is {said}, and only {', '.join(_POOLINGS)} are supported"
        )


def _unsupported(what: str) -> errors.InvalidArgument:
    return errors.InvalidArgument("ENCODER_UNSUPPORTED", f"the encoder is not taken: {what}")


def _pooling_config(root: Path, path: str) -> Config:
    """Read a module's config; its path is a name from a file that nobody trusts."""
    folder = root / path
    if not path or not folder.resolve().is_relative_to(root.resolve()):
        return {}
    return read_config(folder / "config.json")


def _architecture(config: Config) -> str:
    listed = config.get("architectures")
    first = listed[0] if isinstance(listed, list) and listed else ""
    return first if isinstance(first, str) else ""


def _labels(config: Config, graph: EncoderGraph) -> int:
    """Count the classes of a classifier."""
    size = graph.sizes.get(graph.logits, -1)
    return size if size > 0 else len(part(config, "id2label")) or integer(config, "num_labels")


def _context_length(root: Path, config: Config, sentence: Config, graph: EncoderGraph) -> int:
    positions = integer(config, "max_position_embeddings", "n_positions", "max_trained_positions")
    positions = max(0, positions - _first_position(config))
    tokenizer = integer(read_config(root / "tokenizer_config.json"), "model_max_length")
    said = integer(sentence, "max_seq_length") or tokenizer
    limits = [said, positions, graph.fixed_length]
    known = [limit for limit in limits if 0 < limit <= _MOST_POSITIONS]
    return min(known, default=DEFAULT_CONTEXT_LENGTH)


def _first_position(config: Config) -> int:
    is_padded = text(config, "model_type") in _PADDED_POSITIONS
    return integer(config, "pad_token_id") + 1 if is_padded else 0


def _default_prompt(root: Path) -> str:
    config = read_config(root / "config_sentence_transformers.json")
    return text(part(config, "prompts"), text(config, "default_prompt_name"))


def _dimensions(config: Config, size: int) -> tuple[int, ...]:
    """Return the sizes that a vector may be cut to, the largest its own."""
    listed = config.get("matryoshka_dimensions")
    if isinstance(listed, list):
        return tuple(sorted({one for one in listed if type(one) is int and 0 < one <= size}))
    return tuple(range(1, size + 1)) if config.get("is_matryoshka") is True else ()
