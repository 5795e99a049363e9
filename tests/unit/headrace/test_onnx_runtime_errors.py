"""What users read of the runtime's messages."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
import pytest
from onnx import TensorProto, helper

from headrace.onnx_runtime.errors import clean_message, is_plain

FOLDER = Path("/data/net")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Got 1\n index: 0\n Please fix",
            "Got 1 index: 0 Please fix",
        ),
        (
            "At /onnxruntime_src/a/value.h:97 const T& Value::Get() const [with T = a::B] no tensor\n",
            "At no tensor",
        ),
        (
            "Failed: /src/text/a.cc:235 n::Locale::Locale(const std::string&)::<lambda()> No locale.",
            "Failed: No locale.",
        ),
        (
            "At /src/b.cc:7 axis == 1 was false. 2 (of 3) by 4",
            "At axis == 1 was false. 2 (of 3) by 4",
        ),
        (
            "Load model from /a b/m.onnx failed:/src/m.cc:256 o::M::M(o::P&&, const L<T(int)>&) Too new.",
            "Too new.",
        ),
        (
            "[ONNXRuntimeError] : 10 : INVALID_GRAPH : Load model from m.onnx failed:No Op registered",
            "No Op registered",
        ),
        (
            "Exception: tensorprotoutils.cc:1534 ValidateEmbeddedData Initializer 'w' is short",
            "Exception: Initializer 'w' is short",
        ),
        ("cannot open /data/net/sub/w.bin of /data/net", "cannot open sub/w.bin of ."),
        (
            (
                "[ONNXRuntimeError] : 1 : FAIL : /onnxruntime_src/core/graph/model.cc:256 o::Model::Model"
                "(o::ModelProto&&) Unsupported model IR version: 99, max supported IR version: 13"
            ),
            (
                "the graph has IR version 99, and this ONNX Runtime reads up to 13: save it again with "
                "model.ir_version = 13, or install a newer onnxruntime"
            ),
        ),
        ("x" * 1000, "x" * 599 + "…"),
        ("", ""),
    ],
)
def test_messages_are_cleaned(text: str, expected: str) -> None:
    """One line, bounded, without the runtime's own numbers and paths."""
    assert expected == clean_message(text, FOLDER)


def graph(opset: int, ir_version: int, domain: str = "") -> bytes:
    """A graph that adds its input to itself, with these versions."""
    tensor = helper.make_tensor_value_info
    node = helper.make_node("Add", ["x", "x"], ["y"], domain=domain)
    model = helper.make_model(
        helper.make_graph(
            [node],
            "add",
            [tensor("x", TensorProto.FLOAT, [1])],
            [tensor("y", TensorProto.FLOAT, [1])],
        ),
        opset_imports=[helper.make_opsetid(domain, opset)],
    )
    model.ir_version = ir_version
    return bytes(model.SerializeToString())


def normalizing(locale: str) -> bytes:
    """A graph that writes texts small by the rules of a locale."""
    tensor = helper.make_tensor_value_info
    node = helper.make_node(
        "StringNormalizer", ["x"], ["y"], case_change_action="LOWER", locale=locale
    )
    model = helper.make_model(
        helper.make_graph(
            [node],
            "normalizing",
            [tensor("x", TensorProto.STRING, ["n"])],
            [tensor("y", TensorProto.STRING, ["n"])],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    return bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (graph(20, 99), "the graph has IR version 99, and this ONNX Runtime reads up to "),
        (
            graph(99, 10),
            "the graph uses opset 99 of ai.onnx, and this ONNX Runtime supports up to ",
        ),
        (graph(99, 10, "ai.onnx.ml"), "the graph uses opset 99 of ai.onnx.ml"),
        (
            graph(1, 10, "my.own"),
            "the operator Add of the domain my.own is not one of ONNX Runtime",
        ),
        (
            normalizing("xx_YY"),
            "it normalises texts by the locale xx_YY, which this machine has not",
        ),
    ],
)
def test_what_the_runtime_lacks_is_said_plainly(model: bytes, words: str) -> None:
    """A row each: what the runtime that is installed says of it becomes one sentence with the remedy."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    with pytest.raises(Exception, match=r"\w") as refused:
        onnxruntime.InferenceSession(model, options)
    text = str(refused.value)

    assert is_plain(text)
    assert clean_message(text).startswith(words)
    assert "::" not in clean_message(text)
