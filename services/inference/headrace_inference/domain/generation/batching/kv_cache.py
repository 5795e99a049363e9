"""Keeps the books of a KV cache: how much memory each row holds, and never more than the budget."""

from __future__ import annotations


class KvBooks:
    """The tokens that rows hold memory for, in whole granules.

    A row that nobody uses holds what it held until it is given back: the next one to use it pays nothing.
    """

    def __init__(self, budget_tokens: int, granule: int, rows: int) -> None:
        self.granule = granule
        self.capacity = budget_tokens - budget_tokens % granule
        self.held = [0] * rows
        self.total = 0

    @property
    def room(self) -> int:
        """Return how many tokens may still be held."""
        return self.capacity - self.total

    def rounded(self, tokens: int) -> int:
        """Return the tokens that memory for so many has room for."""
        return -(-tokens // self.granule) * self.granule

    def need(self, row: int, tokens: int) -> int:
        """Return how much more a row must hold for so many tokens."""
        return max(0, self.rounded(tokens) - self.held[row])

    def hold(self, row: int, tokens: int) -> None:
        """Let a row hold so many tokens; there must be room."""
        need = self.need(row, tokens)
        assert need <= self.room, "the KV cache would exceed its budget"
        self.held[row] += need
        self.total += need

    def give_back(self, row: int) -> None:
        """Let a row hold nothing."""
        self.total -= self.held[row]
        self.held[row] = 0

    def move(self, source: int, target: int) -> None:
        """Let a row hold what another held, or more if it did; the other holds nothing then."""
        held = max(self.held[source], self.held[target])
        self.total += held - self.held[source] - self.held[target]
        self.held[source], self.held[target] = 0, held
