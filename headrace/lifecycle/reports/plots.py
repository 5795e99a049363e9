"""Draws plots: figures that no window knows, and their bytes as PNG."""

from __future__ import annotations

import io
from typing import Any

from headrace.lifecycle.extras import from_extra

_DPI = 110


def new_figure(width: float, height: float) -> Any:
    """A figure of so many inches. Raises FailedPrecondition (LIFECYCLE_EXTRA_MISSING)."""
    module = from_extra("matplotlib.figure", "a plot")
    return module.Figure(figsize=(width, height), layout="constrained")


def as_png(figure: Any) -> bytes:
    """The PNG of a figure; it has no time of its making, so that equal plots are equal bytes."""
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=_DPI, metadata={"Software": None})
    return out.getvalue()


def plain_text(text: str, longest: int = 0) -> str:
    """A text as it is, cut where it is longer: matplotlib takes what is between dollars for mathematics."""
    shown = text if not longest or len(text) <= longest else text[: longest - 1] + "…"
    return "".join(char if char.isprintable() else " " for char in shown).replace("$", r"\$")
