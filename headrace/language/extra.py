"""Loads the libraries that language models need, and nothing else does."""

from __future__ import annotations

import importlib
from types import ModuleType

from headrace.errors import FailedPrecondition


def language_library(name: str) -> ModuleType:
    """Return a module of the extra `language`. Raises FailedPrecondition (LANGUAGE_EXTRA_MISSING)."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise FailedPrecondition(
            "LANGUAGE_EXTRA_MISSING",
            f"language models need {name.partition('.')[0]}, which is not installed: "
            "pip install 'headrace[language]'",
        ) from error
