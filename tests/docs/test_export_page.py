"""docs/export-your-model.md: each framework's steps work, and the served numbers are the framework's.

The frameworks need gigabytes, so each section runs where its modules are: in this environment, or with the
interpreter that HEADRACE_EXPORT_PYTHONS names for it, as `pytorch=/venv/bin/python,keras=...`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, anchor
from tests.suite import running_suite, without_settings

PAGE = (ROOT / "docs" / "export-your-model.md").read_text(encoding="utf-8")
SECTION = re.compile(r"^## (.*?)\n(.*?)(?=^## |\Z)", re.DOTALL | re.MULTILINE)
BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```", re.DOTALL | re.MULTILINE)
MODULES = {
    "scikit-learn": ("sklearn", "skl2onnx"),
    "pytorch": ("torch", "onnxscript"),
    "lightgbm": ("lightgbm", "onnxmltools", "sklearn"),
    "xgboost": ("xgboost", "onnxmltools", "sklearn"),
    "keras-and-tensorflow": ("keras", "tensorflow", "tf2onnx"),
    "hugging-face": ("transformers", "torch", "optimum.exporters.onnx"),
}
NOT_RUN = ("pip install", "SavedModel", "saved_model/", "uncased-finetuned", "SmolLM2")
"""What marks a block that needs a download, or a file of the reader's."""

pytestmark = [pytest.mark.toolchain, pytest.mark.timeout(900)]


@pytest.mark.parametrize("section", MODULES)
async def test_a_section_exports_pushes_and_calls(section: str, tmp_path: Path) -> None:
    """The blocks of the section, one after the other in one program, run without an error."""
    python = interpreter(section)
    async with running_suite(tmp_path) as suite:
        work = tmp_path / "work"
        work.mkdir()
        (work / "steps.py").write_text("\n".join(steps(section)))
        environ = without_settings(os.environ) | {
            "HEADRACE_REGISTRY": suite.registry,
            "HEADRACE_INFERENCE": suite.inference,
            "PYTHONPATH": str(ROOT),
            "PATH": f"{Path(python).parent}:{os.environ['PATH']}",
        }
        subprocess.run([python, "steps.py"], cwd=work, env=environ, check=True)  # noqa: ASYNC221


def interpreter(section: str) -> str:
    """The Python that has the section's framework; the test is skipped where none has."""
    named = os.environ.get("HEADRACE_EXPORT_PYTHONS", "")
    python = dict(pair.split("=") for pair in named.split(",") if pair).get(section, sys.executable)
    imports = subprocess.run(
        [python, "-c", f"import headrace, {', '.join(MODULES[section])}"],
        check=False,
        capture_output=True,
    )
    if imports.returncode:
        pytest.skip(f"no {' and '.join(MODULES[section])} in {python}")
    return python


def steps(section: str) -> Iterator[str]:
    """A section's blocks as one Python program, which calls the shell for the shell's."""
    (text,) = (text for title, text in SECTION.findall(PAGE) if anchor(title) == section)
    for language, code in BLOCK.findall(text):
        if any(mark in code for mark in NOT_RUN):
            continue
        if language == "python":
            yield code
        else:
            yield f"import subprocess\nsubprocess.run({code!r}, shell=True, check=True)"
