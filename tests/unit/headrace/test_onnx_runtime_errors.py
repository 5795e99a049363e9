"""What users read of the runtime's messages."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.onnx_runtime.errors import clean_message

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
