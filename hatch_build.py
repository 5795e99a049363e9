"""Adds the compiled reader and writer of texts to a wheel where HEADRACE_COMPILE=1 asks for it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).resolve().parent))

from scripts.compile_elements import FOLDER, NAME, compile_into


class CompileHook(BuildHookInterface[Any]):
    """Without the variable a wheel is pure Python, and nothing is compiled."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Compile, and have the wheel named for its platform."""
        if os.environ.get("HEADRACE_COMPILE") != "1":
            return
        compile_into(FOLDER)
        build_data["artifacts"].append(f"headrace/{NAME}")
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
