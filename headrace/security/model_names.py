"""The models that a request means, by the names in it."""

from __future__ import annotations

MAX_NAME = 256
"""More than the name of any model has, which are of up to 128 characters. Callers choose the names that
they ask for: a longer one is not remembered, nor told in full."""

_COLLECTION = "models/"


def model_in(text: str) -> str:
    """Return the model in `models/digits/versions/3`, `digits@champion` or `digits`; '' in ''."""
    if text.startswith(_COLLECTION):
        return text[len(_COLLECTION) :].partition("/")[0]
    return text.partition("@")[0]


def shortened(name: str) -> str:
    """Return a name as an error or a record tells it."""
    return name if len(name) <= MAX_NAME else f"{name[:MAX_NAME]}…"
