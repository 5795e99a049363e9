"""Finds the graph that is served among the files of a language model's folder."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path, PurePosixPath

from headrace import errors
from headrace.language.genai_config import GENAI_CONFIG, read_genai_config
from headrace.language.language_files import invalid

TOKENIZER = "tokenizer.json"
GRAPHS = (
    "model.onnx",
    "decoder_model_merged.onnx",
    "onnx/model.onnx",
    "onnx/decoder_model_merged.onnx",
)
"""What exporters call the graph, in the order in which it is looked for."""
_MOST_NAMED = 10


def is_language_folder(names: Collection[str]) -> bool:
    """Return whether files of these paths may be a language model's: the graph has the last word."""
    return GENAI_CONFIG in names or TOKENIZER in names


def find_language_graph(folder: Path, names: Collection[str]) -> str:
    """Return the path of the graph among the files of a language model's folder.

    It is the one that genai_config.json names, else the first of `GRAPHS` that is there, else the only one.
    Raises InvalidArgument (GRAPH_AMBIGUOUS, GRAPH_NOT_FOUND, LANGUAGE_FILES_INVALID,
    GENERATION_UNSUPPORTED).
    """
    genai = read_genai_config(folder)
    if genai is not None:
        if genai.graph_path not in names:
            raise invalid(
                f"{GENAI_CONFIG} names the graph {genai.graph_path[:200]!r}, which is not there"
            )
        return genai.graph_path
    named = [name for name in GRAPHS if name in names]
    graphs = named[:1] or sorted(name for name in names if PurePosixPath(name).suffix == ".onnx")
    if len(graphs) == 1:
        return graphs[0]
    if not graphs:
        raise errors.InvalidArgument(
            "GRAPH_NOT_FOUND",
            "the folder has a tokenizer and no .onnx file: export the model with `optimum-cli export "
            "onnx`, or import its GGUF file with `headrace import gguf`",
        )
    raise errors.InvalidArgument(
        "GRAPH_AMBIGUOUS",
        f"the folder has {len(graphs)} graphs and none is called {' or '.join(GRAPHS[:2])}: choose one "
        f"with `headrace push --graph`, of: {', '.join(graphs[:_MOST_NAMED])}",
    )
