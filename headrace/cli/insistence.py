"""The options with which a command insists on what would break callers."""

from __future__ import annotations

from typing import Annotated

import typer

AllowSignatureChange = Annotated[
    bool,
    typer.Option(
        "--allow-signature-change",
        help="Go on though the version would break callers of the one that it replaces.",
    ),
]
AllowUnready = Annotated[
    bool, typer.Option("--allow-unready", help="Go on though no replica serves the version.")
]
AllowGateFailure = Annotated[
    bool,
    typer.Option(
        "--allow-gate-failure", help="Go on though the version does not pass the model's gate."
    ),
]
