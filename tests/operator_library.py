"""A real shared library of custom operators, where the package with it is installed, and a graph of one."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import pytest
from onnx import TensorProto, helper

LIBRARY = "liboperators.so"


def operator_folder(folder: Path) -> Path:
    """A folder for the setting custom_operators, with the library in it; skips where there is none."""
    spec = importlib.util.find_spec("onnxruntime_extensions")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("onnxruntime-extensions is not installed")
    (package,) = spec.submodule_search_locations
    libraries = [path for path in Path(package).iterdir() if path.suffix in (".so", ".dylib")]
    folder.mkdir()
    shutil.copyfile(libraries[0], folder / LIBRARY)
    return folder


def shouting() -> bytes:
    """A graph that turns texts into capitals by an operator of the library."""
    node = helper.make_node("StringUpper", ["x"], ["y"], domain="ai.onnx.contrib")
    graph = helper.make_graph(
        [node],
        "shouting",
        [helper.make_tensor_value_info("x", TensorProto.STRING, ["n"])],
        [helper.make_tensor_value_info("y", TensorProto.STRING, ["n"])],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.contrib", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    return bytes(model.SerializeToString())
