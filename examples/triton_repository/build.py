"""Build a model repository as Triton serves it, with real ONNX models: `python build.py FOLDER`.

It has what repositories have: several versions, version policies, batching, instances, warm-up, labels,
external data, a model without a config, and some that Headrace cannot take over whole, or at all.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SCALER = """
name: "scaler"
backend: "onnxruntime"
max_batch_size: 8
input [ { name: "x" data_type: TYPE_FP32 dims: [ 2 ] } ]
output [ { name: "y" data_type: TYPE_FP32 dims: [ 2 ] } ]
version_policy { all { } }
instance_group [ { count: 2 kind: KIND_CPU } ]
dynamic_batching {
  preferred_batch_size: [ 4, 8 ]
  max_queue_delay_microseconds: 100
  default_queue_policy { max_queue_size: 500 default_timeout_microseconds: 5000000 }
}
optimization { graph { level: 1 } }
parameters { key: "intra_op_thread_count" value: { string_value: "1" } }
model_warmup [ {
  name: "zeros"
  batch_size: 8
  inputs { key: "x" value: { data_type: TYPE_FP32 dims: [ 2 ] zero_data: true } }
} ]
"""

COLOURS = """
platform: "onnxruntime_onnx"
max_batch_size: 16
input [ { name: "pixel" data_type: TYPE_FP32 dims: [ 3 ] } ]
output [ { name: "colour" data_type: TYPE_FP32 dims: [ 3 ] label_filename: "colours.txt" } ]
dynamic_batching { }
"""

SHARED = """
backend: "onnxruntime"
max_batch_size: 4
input [ { name: "x" data_type: TYPE_FP32 dims: [ 2 ] } ]
output [ { name: "y" data_type: TYPE_FP32 dims: [ 2 ] } ]
version_policy { latest { num_versions: 2 } }
dynamic_batching { priority_levels: 2 default_priority_level: 1 preserve_ordering: false }
response_cache { enable: true }
metric_tags { key: "team" value: "vision" }
"""

PIPELINE = """
platform: "ensemble"
ensemble_scheduling {
  step [ { model_name: "scaler" model_version: -1 }, { model_name: "shared" model_version: -1 } ]
}
"""


def build(repository: Path) -> None:
    """Write the repository."""
    for version, factor in (("1", 2.0), ("2", 3.0), ("10", 4.0), ("007", 5.0)):
        write(repository / "scaler" / version / "model.onnx", scaling(factor))
    for version, factor in (("1", 2.0), ("2", 3.0), ("3", 4.0)):
        write(repository / "shared" / version / "model.onnx", scaling(factor))
    write(repository / "bare" / "1" / "model.onnx", scaling(6.0))
    write_colours(repository / "colours")
    (repository / "pipeline" / "1").mkdir(parents=True)
    for model, config in (("scaler", SCALER), ("shared", SHARED), ("pipeline", PIPELINE)):
        (repository / model / "config.pbtxt").write_text(config, encoding="utf-8")


def write(path: Path, model: onnx.ModelProto) -> None:
    """Write a checked model."""
    onnx.checker.check_model(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString())


def scaling(factor: float) -> onnx.ModelProto:
    """y = factor * x, FP32 [batch, 2]."""
    weights = numpy_helper.from_array(np.array(factor, np.float32), "factor")
    return one_node("Mul", "x", "y", 2, weights)


def write_colours(folder: Path) -> None:
    """A model that scores red, green and blue, with its weights in a file of their own, and labels."""
    weights = numpy_helper.from_array(np.eye(3, dtype=np.float32) * 10, "weights")
    path = folder / "1" / "model.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save_model(
        one_node("MatMul", "pixel", "colour", 3, weights),
        path,
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=0,
    )
    (folder / "colours.txt").write_text("red\ngreen\nblue\n", encoding="utf-8")
    (folder / "config.pbtxt").write_text(COLOURS, encoding="utf-8")


def one_node(
    operator: str, taken: str, given: str, width: int, weights: onnx.TensorProto
) -> onnx.ModelProto:
    """A model of one operator between an input, weights and an output, FP32 [batch, width]."""
    node = helper.make_node(operator, [taken, weights.name], [given])
    x = helper.make_tensor_value_info(taken, TensorProto.FLOAT, ["batch", width])
    y = helper.make_tensor_value_info(given, TensorProto.FLOAT, ["batch", width])
    graph = helper.make_graph([node], "g", [x], [y], [weights])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


if __name__ == "__main__":
    build(Path(sys.argv[1]))
