"""Tells versions of text from versions of tensors, by their files and their graph.

To add a kind, write a module with its recogniser and put that into `RECOGNISERS`.
"""

from __future__ import annotations

from headrace.language.folder_layout import is_language_folder
from headrace.language.language_files import invalid
from headrace.state.language_records import VersionKind
from headrace_registry.adapters.checks.language.candidate import Candidate, Check, Recogniser
from headrace_registry.adapters.checks.language.encoding import recognise_encoder
from headrace_registry.adapters.checks.language.generation import recognise_generation

RECOGNISERS: tuple[Recogniser, ...] = (recognise_generation, recognise_encoder)
"""In this order: the first that knows an artifact checks it."""


def recognise(candidate: Candidate) -> Check | None:
    """Return the check of a version of text, and None for one of tensors.

    Raises InvalidArgument for a graph that cannot be read.
    """
    if candidate.kind is VersionKind.TENSORS:
        return None
    if is_language_folder(candidate.names):
        for recogniser in RECOGNISERS:
            if check := recogniser(candidate):
                return check
    if candidate.kind is not None:
        raise invalid(
            f"it is pushed as one of {candidate.kind.value}, and its files are no such model: it needs a "
            "tokenizer.json beside a graph of that kind"
        )
    return None
