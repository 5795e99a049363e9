"""Rewrites error messages of ONNX Runtime and ONNX for users: pure functions of text."""

from __future__ import annotations

import os
import re
from pathlib import Path

MAX_TEXT = 600
"""Long enough for any message about shapes; some errors quote whole graphs."""

_STATUS = re.compile(r"\[ONNXRuntimeError\] : \d+ : [A-Z_]+ : ")
_FILE = re.compile(r"Load model from .*? failed: ?")
_PLACE = r"(?:\b[A-Za-z]:)?[/\\]\S+\.(?:cc|h|hpp|cu|cuh|cpp|inc):\d+ "
_FUNCTION = (
    r"[^().]*\((?:[^()]|\([^()]*\))*\)(?:::<lambda\(.*?\)>)?(?: const)?(?: \[with [^\]]*\])? "
)
_SOURCE = re.compile(f"{_PLACE}(?:{_FUNCTION})?")
_BARE_SOURCE = re.compile(r"\b[\w-]+\.(?:cc|h|hpp|cu|cpp):\d+ (?:[A-Z]\w*[a-z]\w*[A-Z]\w* )?")
"""A file without its folders, and a function without its parameters."""

_PLAIN: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(r"Unsupported model IR version: (\d+), max supported IR version: (\d+)\.?"),
        (
            r"the graph has IR version \1, and this ONNX Runtime reads up to \2: save it again with "
            r"model.ir_version = \2, or install a newer onnxruntime"
        ),
    ),
    (
        re.compile(
            r"ONNX Runtime only \*guarantees\* .*?Opset (\d+) is under development.*?"
            r"support for domain (\S+) is till opset (\d+)\.?"
        ),
        (
            r"the graph uses opset \1 of \2, and this ONNX Runtime supports up to \3: export it again with "
            r"opset \3 or lower, or install a newer onnxruntime"
        ),
    ),
    (
        re.compile(r"Fatal error: ([^\s:]+):(\S+)\(-?\d+\) is not a registered function/op"),
        (
            r"the operator \2 of the domain \1 is not one of ONNX Runtime: export the model without it, or "
            r"name the library that has it (session.custom_operators in the serving config)"
        ),
    ),
    (
        re.compile(
            r"(?:Exception during initialization: )?"
            r"Failed to construct locale with name:([^\s:]+):.*?configure locales"
        ),
        (
            r"it normalises texts by the locale \1, which this machine has not: install it wherever "
            r"the model is checked or served, or export the model without a locale"
        ),
    ),
)
"""What people meet often and ONNX Runtime says in words for its developers."""


def is_plain(text: str) -> bool:
    """Return whether `clean_message` says all of a message in words of its own."""
    joined = " ".join(text.split())
    return any(pattern.search(joined) for pattern, _ in _PLAIN)


def clean_message(text: str, folder: Path | None = None) -> str:
    """The text in one line, without status numbers and places in the runtime's source.

    Where the model's folder lies on this machine is nobody's business, either.
    """
    text = " ".join(text.split()) + " "
    for pattern in (_STATUS, _FILE, _SOURCE, _BARE_SOURCE):
        text = pattern.sub("", text)
    for pattern, plain in _PLAIN:
        text = pattern.sub(plain, text)
    for place in (folder, folder.resolve()) if folder else ():
        text = text.replace(f"{place}{os.sep}", "").replace(str(place), ".")
    text = text.strip()
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
