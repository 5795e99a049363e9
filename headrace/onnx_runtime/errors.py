"""What ONNX Runtime and ONNX say when they fail, as users may read it: pure functions of text."""

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


def clean_message(text: str, folder: Path | None = None) -> str:
    """The text in one line, without status numbers and places in the runtime's source.

    Where the model's folder lies on this machine is nobody's business, either.
    """
    text = " ".join(text.split()) + " "
    for pattern in (_STATUS, _FILE, _SOURCE, _BARE_SOURCE):
        text = pattern.sub("", text)
    for place in (folder, folder.resolve()) if folder else ():
        text = text.replace(f"{place}{os.sep}", "").replace(str(place), ".")
    text = text.strip()
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
