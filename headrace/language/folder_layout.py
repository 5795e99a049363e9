"""Finds the graph that is served among the files of a language model's folder."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath

from headrace import errors
from headrace.language.genai_config import (
    GENAI_CONFIG,
    GenaiConfig,
    read_genai_config,
    read_genai_file,
)
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
_LEFT_OUT = frozenset(
    (
        *(
            ".onnx",
            ".safetensors",
            ".pt",
            ".pth",
            ".ckpt",
            ".h5",
            ".msgpack",
            ".ot",
            ".gguf",
            ".tflite",
        ),
        *(".mlmodel", ".xml", ".py", ".ipynb", ".md", ".html", ".pdf"),
        *(".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp"),
    )
)
"""Endings of what no language model is served with."""
_WEIGHTS = re.compile(
    r"\.onnx[._]data(_\d+)?$|\.index\.json$|^(pytorch_model|model|openvino|training_args|optimizer).*\.bin$"
)
"""Weights as exporters and trainers call them, and the tables of weights in several files."""


def is_language_folder(names: Collection[str]) -> bool:
    """Return whether files of these paths may be a language model's: the graph has the last word."""
    return GENAI_CONFIG in names or TOKENIZER in names


def find_language_graph(folder: Path, names: Collection[str]) -> str:
    """Return the path of the graph among the files of a language model's folder.

    It is the one that genai_config.json names, else the first of `GRAPHS` that is there, else the only one.
    Raises InvalidArgument (GRAPH_AMBIGUOUS, GRAPH_NOT_FOUND, LANGUAGE_FILES_INVALID,
    GENERATION_UNSUPPORTED).
    """
    return _find(read_genai_config(folder), names)


def _find(genai: GenaiConfig | None, names: Collection[str]) -> str:
    if genai is not None:
        if genai.graph_path not in names:
            raise invalid(
                f"{GENAI_CONFIG} names the graph {genai.graph_path[:200]!r}, which is not there"
            )
        return genai.graph_path
    named = [name for name in GRAPHS if name in names]
    graphs = named[:1] or _graphs(names)
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
        f"with `headrace push --graph`, of: {_listed(graphs)}",
    )


def needed_files(files: Mapping[str, Path], graph: str = "") -> Mapping[str, Path]:
    """Return what is served of a language model's folder, by paths in it, as it lies on the Hub.

    Left out are other graphs and their weights, weights of other frameworks, code, pictures, pages and
    what begins with a dot. `graph` is the one to serve; else it is found as `find_language_graph` does.
    Raises InvalidArgument, as that and as `external_files` do.
    """
    from headrace.model_files.external_data import external_files

    chosen = _chosen(files, graph)
    below = PurePosixPath(chosen).parent
    outside = external_files(files[chosen])
    weights = {(below / name).as_posix(): path for name, path in outside.items()}
    kept = {name: path for name, path in files.items() if _is_kept(name)}
    return dict(sorted({**kept, chosen: files[chosen], **weights}.items()))


def _chosen(files: Mapping[str, Path], graph: str) -> str:
    genai = read_genai_file(files[GENAI_CONFIG]) if GENAI_CONFIG in files else None
    if not graph:
        return _find(genai, files)
    if graph not in files:
        raise errors.InvalidArgument(
            "GRAPH_NOT_FOUND",
            f"there is no {graph[:200]!r} in the folder; its graphs are: {_listed(_graphs(files))}",
        )
    if genai is not None and genai.graph_path != graph:
        raise invalid(
            f"{GENAI_CONFIG} names the graph {genai.graph_path[:200]!r}, and {graph[:200]!r} is asked for: "
            "its names and sizes are those of its own graph"
        )
    return graph


def _is_kept(name: str) -> bool:
    path = PurePosixPath(name)
    if any(part.startswith(".") for part in path.parts) or path.stem.lower() == "readme":
        return False
    return path.suffix.lower() not in _LEFT_OUT and not _WEIGHTS.search(path.name)


def _graphs(names: Collection[str]) -> list[str]:
    return sorted(name for name in names if PurePosixPath(name).suffix == ".onnx")


def _listed(graphs: list[str]) -> str:
    return ", ".join(graphs[:_MOST_NAMED]) or "none"
