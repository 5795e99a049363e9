"""Compiles headrace/compiled_elements.c, which reads and writes texts faster; nothing needs it.

    python -m scripts.compile_elements    # beside its source, for this checkout

`HEADRACE_COMPILE=1 pip install .` has hatch_build.py do it for a wheel. Both need a C compiler and Python's
headers.
"""

from __future__ import annotations

import shlex
import subprocess
import sysconfig
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "headrace"
SOURCE = FOLDER / "compiled_elements.c"
NAME = "_compiled_elements.abi3.so"


def compile_into(folder: Path, *, checked: bool = False) -> Path:
    """The compiled module in a folder; if `checked`, without warnings.

    Raises CalledProcessError, OSError.
    """
    target = folder / NAME
    linker = shlex.split(sysconfig.get_config_var("LDSHARED") or "cc -shared")
    include = sysconfig.get_paths()["include"]
    warnings = ["-Wall", "-Wextra", "-Werror"] if checked else []
    options = ["-O3", "-fPIC", *warnings, f"-I{include}", str(SOURCE), "-o", str(target)]
    subprocess.run([*linker, *options], check=True)
    return target


if __name__ == "__main__":
    print(compile_into(FOLDER))
