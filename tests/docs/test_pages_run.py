"""The examples of "start here" and "call it" run against a suite as they stand, one after the other."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.docs.pages import ROOT
from tests.suite import RunningSuite, running_suite, without_settings

BLOCK = re.compile(r"^```(python|sh|js)\n(.*?)^```", re.DOTALL | re.MULTILINE)
SHOWN = re.compile(r"^```json\n(.*?)^```", re.DOTALL | re.MULTILINE)
PAGES = ("index.md", "call-it.md")
SERVE = "headrace serve model.onnx --name double"
PUSH = "headrace push double model.onnx --wait"
"""What is run in place of SERVE, for the test has a suite already."""


async def test_examples_run(tmp_path: Path) -> None:
    """Python, the shell and, where there is Node, JavaScript end well, and answer what the pages show."""
    async with running_suite(tmp_path) as suite:
        steps = tmp_path / "steps.py"
        steps.write_text("\n".join(line for name in PAGES for line in program(name, suite)))
        environ = without_settings(os.environ) | {
            "HEADRACE_REGISTRY": suite.registry,
            "HEADRACE_INFERENCE": suite.inference,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        done = subprocess.run(  # noqa: ASYNC221 - nothing else happens meanwhile
            [sys.executable, steps], cwd=tmp_path, env=environ, check=False, capture_output=True
        )
    assert 0 == done.returncode, done.stderr.decode()
    said = done.stdout.decode()
    assert [] == [shown for shown in expected() if shown not in said], said


def expected() -> list[str]:
    """The answers that the pages show."""
    pages = [(ROOT / "docs" / name).read_text(encoding="utf-8") for name in PAGES]
    return [shown.strip() for page in pages for shown in SHOWN.findall(page)]


def program(name: str, suite: RunningSuite) -> list[str]:
    """A page's blocks as one Python program, with the suite's ports in place of the usual ones."""
    return list(_steps((ROOT / "docs" / name).read_text(encoding="utf-8"), suite))


def _steps(page: str, suite: RunningSuite) -> Iterator[str]:
    rest = str(suite.ready["inference"][0]["http"])
    page = page.replace("localhost:8000", rest).replace("localhost:8001", suite.inference)
    for language, code in BLOCK.findall(page):
        code = code.replace("pip install headrace\n", "").replace(SERVE, PUSH)
        if language == "python":
            yield code
        elif language == "sh":
            yield _run(["sh", "-ec", code.replace("curl -s", "curl -sS --fail-with-body")])
        elif shutil.which("node"):
            yield _run(["node", "--input-type=module", "-e", code])


def _run(command: list[str]) -> str:
    return f"import subprocess\nsubprocess.run({command!r}, check=True)"
