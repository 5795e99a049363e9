"""Makes a folder in onnxruntime-genai's layout of a GGUF file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from headrace.language.decoder_graph import (
    DecoderShape,
    Progress,
    TextFacts,
    WeightFormat,
    write_decoder,
    write_genai_config,
)
from headrace.language.extra import language_library
from headrace.language.gguf.architectures import Family, family_of, shape_of
from headrace.language.gguf.gguf_file import open_gguf
from headrace.language.gguf.gguf_weights import GgufWeights
from headrace.language.gguf.metadata import Metadata
from headrace.language.gguf.tokenizer_files import write_tokenizer
from headrace.language.gguf.vocabulary import Vocabulary, read_vocabulary

_SAMPLING = {
    "temp": "temperature",
    "top_k": "top_k",
    "top_p": "top_p",
    "min_p": "min_p",
    "penalty_repeat": "repetition_penalty",
}
"""What GGUF's keys of `general.sampling` are called elsewhere."""


@dataclass(frozen=True, slots=True)
class ImportedGguf:
    """A summary of what was written."""

    name: str
    """How the file calls the model; '' where it does not."""
    architecture: str
    shape: DecoderShape
    weight_format: WeightFormat
    size_bytes: int


def import_gguf(
    path: Path,
    folder: Path,
    weight_format: WeightFormat = WeightFormat.INT8,
    context: int | None = None,
    progress: Progress | None = None,
) -> ImportedGguf:
    """Write a GGUF file's model into an empty folder. What cannot be imported is refused first.

    Raises InvalidArgument (GGUF_INVALID, GGUF_UNSUPPORTED), FailedPrecondition (LANGUAGE_EXTRA_MISSING).
    """
    for library in ("gguf", "tokenizers"):
        language_library(library)
    with open_gguf(path) as file:
        metadata = Metadata(file.metadata)
        family = family_of(metadata)
        shape = shape_of(file, metadata, context)
        weights = GgufWeights(file, shape, permuted=family.permuted)
        vocabulary = read_vocabulary(metadata, shape.vocabulary_size)
        write_tokenizer(folder, metadata, vocabulary)
        _write_configs(folder, family, shape, metadata, vocabulary)
        write_decoder(shape, weights, folder, weight_format, progress)
        name = metadata.text("general.name", "")
    size = sum(each.stat().st_size for each in folder.iterdir())
    return ImportedGguf(name, metadata.architecture, shape, weight_format, size)


def _write_configs(
    folder: Path, family: Family, shape: DecoderShape, metadata: Metadata, vocabulary: Vocabulary
) -> None:
    sampling = {
        name: (metadata.whole if key == "top_k" else metadata.number)(f"general.sampling.{key}")
        for key, name in _SAMPLING.items()
        if metadata.has(f"general.sampling.{key}")
    }
    facts = TextFacts(family.kind, vocabulary.ends, vocabulary.begin, vocabulary.padding)
    write_genai_config(folder, shape, facts)
    if sampling:
        generation = {"do_sample": True, "eos_token_id": list(vocabulary.ends), **sampling}
        text = json.dumps(generation, indent=2) + "\n"
        (folder / "generation_config.json").write_text(text, "utf-8")
