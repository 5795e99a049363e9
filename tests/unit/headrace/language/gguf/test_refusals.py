"""What cannot be imported is refused by name, and damaged files never do more than that."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGUFWriter

from headrace import errors
from headrace.language.gguf.importing import import_gguf
from tests.language.tiny_gguf import write_tiny_gguf
from tests.language.tiny_models import QWEN3


def _refusal(path: Path, context: int | None = None) -> errors.HeadraceError:
    folder = path.parent / "onnx"
    folder.mkdir(exist_ok=True)
    with pytest.raises(errors.InvalidArgument) as caught:
        import_gguf(path, folder, context=context)
    return caught.value


Change = Callable[[GGUFWriter], Any]
CHANGES: dict[str, tuple[Change, str]] = {
    "parts": (lambda w: w.add_uint16("split.count", 3), "one of 3 parts of a model"),
    "adapter": (lambda w: w.add_type("adapter"), "a file of type 'adapter'"),
    "experts": (lambda w: w.add_expert_count(8), "a mixture of 8 experts"),
    "yarn": (lambda w: w.add_string("llama.rope.scaling.type", "yarn"), "scaled by 'yarn'"),
    "scaled logits": (lambda w: w.add_logit_scale(0.5), "llama.logit_scale"),
    "softcapping": (
        lambda w: w.add_attn_logit_softcapping(30.0),
        "llama.attn_logit_softcapping",
    ),
    "another tensor": (
        lambda w: w.add_tensor("blk.0.attn_output.bias", np.zeros(64, np.float32)),
        "the tensor blk.0.attn_output.bias",
    ),
    "whole numbers": (
        lambda w: w.add_tensor("blk.0.extra", np.zeros((2, 64), np.int32)),
        "whose numbers are I32",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_models_of_other_mathematics_are_refused_by_name(name: str, tmp_path: Path) -> None:
    """The message says what it is that cannot be imported."""
    change, said = CHANGES[name]
    write_tiny_gguf(tmp_path / "tiny.gguf", change=change)
    refusal = _refusal(tmp_path / "tiny.gguf")
    assert refusal.reason == "GGUF_UNSUPPORTED"
    assert said in refusal.message


def test_other_architectures_are_refused_by_name(tmp_path: Path) -> None:
    """An architecture that is not known is named, beside those that are."""
    write_tiny_gguf(tmp_path / "tiny.gguf", QWEN3, "gemma2")
    refusal = _refusal(tmp_path / "tiny.gguf")
    assert refusal.reason == "GGUF_UNSUPPORTED"
    assert "'gemma2'" in refusal.message
    assert "llama, qwen2, qwen3" in refusal.message


def test_other_ways_of_splitting_texts_are_refused_by_name(tmp_path: Path) -> None:
    """Texts would become other tokens than the model was taught."""
    write_tiny_gguf(tmp_path / "tiny.gguf", pre="tekken")
    refusal = _refusal(tmp_path / "tiny.gguf")
    assert refusal.reason == "GGUF_UNSUPPORTED"
    assert "'tekken'" in refusal.message


def test_a_context_over_the_models_is_refused(tmp_path: Path) -> None:
    """The message has the model's own."""
    write_tiny_gguf(tmp_path / "tiny.gguf")
    refusal = _refusal(tmp_path / "tiny.gguf", context=4096)
    assert "the model's is 512" in refusal.message


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no header"),
        (b"GG", "no header"),
        (b"PK\x03\x04" + bytes(64), "does not begin with 'GGUF'"),
        (b"GGUF" + struct.pack("<I", 3), "ends within its counts"),
        (b"GGUF" + struct.pack("<IQQ", 3, 2**63, 1), "claims 9223372036854775808 entries"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2**62), "4611686018427387904 bytes"),
        (
            b"GGUF" + struct.pack("<IQQQ1sIIQ", 3, 0, 1, 1, b"k", 9, 4, 2**60),
            "said to have 1152921504606846976 items",
        ),
        (b"GGUF" + struct.pack("<IQQQ1sIIQ", 3, 0, 1, 1, b"k", 9, 9, 1), "is of type 9"),
        (b"GGUF" + struct.pack("<IQQQ1sIIQ", 3, 0, 1, 1, b"k", 9, 4, 2**20), "ends within k"),
        (b"GGUF" + struct.pack("<IQQQ1sI", 3, 0, 1, 1, b"\xff", 4), "not UTF-8"),
    ],
)
def test_what_is_no_whole_file_is_refused(content: bytes, said: str, tmp_path: Path) -> None:
    """Whatever a header claims, nothing is believed beyond the end of the file."""
    path = tmp_path / "tiny.gguf"
    path.write_bytes(content)
    refusal = _refusal(path)
    assert refusal.reason == "GGUF_INVALID"
    assert said in refusal.message


def test_the_other_byte_order_is_refused(tmp_path: Path) -> None:
    """A big-endian file's version is not one."""
    path = tmp_path / "tiny.gguf"
    path.write_bytes(b"GGUF" + struct.pack(">IQQ", 3, 0, 0))
    assert _refusal(path).reason == "GGUF_UNSUPPORTED"


def test_a_cut_file_is_refused_wherever_it_was_cut(tmp_path: Path) -> None:
    """Cut in its header or in its weights, a file is refused, and nothing else happens."""
    whole = tmp_path / "whole.gguf"
    write_tiny_gguf(whole)
    content = whole.read_bytes()
    path = tmp_path / "tiny.gguf"
    for length in [*range(0, 20_000, 611), len(content) // 2, len(content) - 40]:
        path.write_bytes(content[:length])
        assert _refusal(path).reason in ("GGUF_INVALID", "GGUF_UNSUPPORTED")


def test_changed_bytes_of_a_header_are_refused_or_make_no_difference(tmp_path: Path) -> None:
    """No byte of a header brings anything about but a refusal."""
    whole = tmp_path / "whole.gguf"
    write_tiny_gguf(whole)
    content = whole.read_bytes()
    chance = random.Random(5)
    refused = 0
    path = tmp_path / "tiny.gguf"
    folder = tmp_path / "onnx"
    folder.mkdir()
    for _ in range(60):
        changed = bytearray(content)
        for _ in range(3):
            changed[chance.randrange(24_000)] = chance.choice((0, 1, 127, 255))
        path.write_bytes(changed)
        try:
            import_gguf(path, folder)
        except errors.InvalidArgument as error:
            refused += error.reason in ("GGUF_INVALID", "GGUF_UNSUPPORTED")
    assert refused > 20


def test_numbers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    """Their tensor is named."""
    write_tiny_gguf(tmp_path / "tiny.gguf")
    content = bytearray((tmp_path / "tiny.gguf").read_bytes())
    content[-8:-4] = struct.pack("<f", float("nan"))
    (tmp_path / "tiny.gguf").write_bytes(content)
    assert "numbers that are not finite" in _refusal(tmp_path / "tiny.gguf").message
