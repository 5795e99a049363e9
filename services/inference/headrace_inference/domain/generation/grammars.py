"""Declares what holds answers to a grammar."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from headrace_inference.domain.generation.requests import Grammar


class GrammarState(Protocol):
    """Where one sequence stands in its grammar. One thread uses it."""

    @property
    def is_over(self) -> bool:
        """Tell whether nothing can follow: the answer ends without an end token."""

    def allowed(self) -> npt.NDArray[np.bool_]:
        """Mark the tokens that may come next, as many as there are logits; none where the answer is over.

        A token that ends the answer is among them only where the grammar accepts what there is. Raises
        InvalidArgument (GRAMMAR_TOO_COMPLEX).
        """

    def accept(self, token: int) -> None:
        """Go on by a token that was allowed."""


class Grammars(Protocol):
    """The grammars of one version's vocabulary. All methods may be called from any thread."""

    def check(self, grammar: Grammar) -> None:
        """Refuse what cannot be held to: InvalidArgument (GRAMMAR_INVALID). It may take tenths of a second.

        What was checked lately begins at once.
        """

    def begin(self, grammar: Grammar) -> GrammarState:
        """Return the start of an answer. Raises InvalidArgument (GRAMMAR_INVALID)."""

    def look_ahead(self, states: Sequence[GrammarState]) -> None:
        """Begin to work out what these allow next, on another thread: `allowed` waits for it."""
