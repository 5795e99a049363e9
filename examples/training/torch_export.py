"""Puts a torch network into a graph, with every axis that is free under a name."""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx
import torch

from examples.training.graph import OPSET, Graph


def exported(
    model: Any, given: Sequence[Any], free: Sequence[Sequence[str]] | None = None
) -> onnx.ModelProto:
    """The network as ONNX. `given` has two rows or more; `free` names the free axes of each, from 0 on."""
    free = free or [["batch"] for _ in given]
    dims = {name: torch.export.Dim(name) for names in free for name in names}
    shapes = tuple({axis: dims[name] for axis, name in enumerate(names)} for names in free)
    for name in ("torch.onnx", "torch.__trace"):  # what it could use and need not, and each step
        logging.getLogger(name).setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own, about itself
        path = Path(folder) / "model.onnx"
        with contextlib.redirect_stdout(io.StringIO()):
            torch.onnx.export(
                model.eval(),
                tuple(given),
                path,
                opset_version=OPSET,
                dynamic_shapes=shapes,
                external_data=False,
                verbose=False,
            )
        return onnx.load(path)


def answer_classes(graph: Graph, probabilities: str, classes: Sequence[str]) -> None:
    """Give callers `probabilities`, and `label`: the name of the likeliest class."""
    best = graph.node("ArgMax", probabilities, axis=1, keepdims=0)
    label = graph.node(
        "LabelEncoder",
        best,
        domain="ai.onnx.ml",
        keys_int64s=list(range(len(classes))),
        values_strings=list(classes),
    )
    graph.output("label", label, onnx.TensorProto.STRING)
    graph.output("probabilities", probabilities, onnx.TensorProto.FLOAT, len(classes))
