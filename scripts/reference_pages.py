"""Write docs/reference/ from the code: command line, Python client, lifecycle; --check: only compare.

What a command or a method is for is its help text or its docstring, so the pages and `--help` say the same.
"""

from __future__ import annotations

import sys
from pathlib import Path

from scripts import reference_cli, reference_client, reference_lifecycle

FOLDER = Path(__file__).parents[1] / "docs" / "reference"
NOTE = "<!-- Written by `make pages` from the code: change that. -->"


def main(arguments: list[str]) -> int:
    """Write the pages anew, or with --check say by the exit status whether they are fresh."""
    fresh = pages()
    stale = [name for name in fresh if _found(name) != fresh[name]]
    if "--check" in arguments:
        for name in stale:
            print(f"{name} is stale: run make pages", file=sys.stderr)
        return bool(stale)
    for name in stale:
        (FOLDER / name).write_text(fresh[name], encoding="utf-8")
    return 0


def pages() -> dict[str, str]:
    """The pages as the code has them, by file name."""
    written = {
        "cli.md": reference_cli.lines(),
        "client.md": reference_client.lines(),
        "lifecycle.md": reference_lifecycle.lines(),
    }
    return {name: "\n".join([NOTE, "", *lines]) + "\n" for name, lines in written.items()}


def _found(name: str) -> str:
    path = FOLDER / name
    return path.read_text(encoding="utf-8") if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
