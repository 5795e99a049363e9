"""The options that every script of training takes, and the report that it writes."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from examples.training.intervals import Figure, as_json


@dataclass(frozen=True, slots=True)
class Options:
    """Where to write, how many rows to take, and the seed; for networks, epochs at most and folds."""

    out: Path
    rows: int | None = None
    seed: int = 0
    epochs: int = 0
    folds: int = 0
    sample: bool = False
    """Take the few rows that lie in the repository."""


def parsed(
    description: str | None, *, sample: bool = False, epochs: int = 0, folds: int = 0
) -> Options:
    """The options of the command line, those with a default where there is one; the folder is made."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--out", type=Path, required=True, help="the folder to write into")
    parser.add_argument("--rows", type=int, help="so many rows alone [default: all]")
    parser.add_argument("--seed", type=int, default=0, help="of all that is random")
    if epochs:
        parser.add_argument("--epochs", type=int, default=epochs, help="at most [%(default)s]")
    if folds:
        parser.add_argument(
            "--folds", type=int, default=folds, help="0: no cross-validation [%(default)s]"
        )
    if sample:
        parser.add_argument("--sample", action="store_true", help="take the rows in the repository")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    return Options(**vars(given))


def report(
    folder: Path,
    facts: Mapping[str, Any],
    *,
    held_out: Mapping[str, Figure],
    validation: Mapping[str, Figure] = MappingProxyType({}),
) -> None:
    """Print what was measured, and write it as metrics.json."""
    for name, value in facts.items():
        print(f"{name:28} {value}")
    for title, figures in (("cross-validation", validation), ("held out", held_out)):
        for name, figure in figures.items():
            print(f"{title + ' ' + name:28} {figure}")
    document = {**facts, "cross_validation": as_json(validation), "held_out": as_json(held_out)}
    (folder / "metrics.json").write_text(json.dumps(document, indent=2) + "\n")
