"""The models that a request means, by the names in it."""

from __future__ import annotations

_COLLECTION = "models/"


def model_in(text: str) -> str:
    """Return the model in `models/digits/versions/3`, `digits@champion` or `digits`; '' in ''."""
    if text.startswith(_COLLECTION):
        return text[len(_COLLECTION) :].partition("/")[0]
    return text.partition("@")[0]
