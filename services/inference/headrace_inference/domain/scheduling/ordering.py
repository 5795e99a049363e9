"""Answers in the order in which batches were taken, whichever instance runs them."""

from __future__ import annotations

import threading


class ResponseOrder:
    """Gives each batch its turn to be answered."""

    def __init__(self) -> None:
        self._moved = threading.Condition()
        self._next_number = 0
        self._current = 0

    def issue(self) -> Ticket:
        """Issue the ticket of the batch that is taken now; whoever has it ends it."""
        number = self._next_number
        self._next_number += 1
        return Ticket(self, number)

    def wait_for(self, number: int) -> None:
        """Wait until all turns before this one have ended."""
        with self._moved:
            self._moved.wait_for(lambda: self._current == number)

    def end(self, number: int) -> None:
        """Let the next one have its turn, once this one has had its own."""
        with self._moved:
            self._moved.wait_for(lambda: self._current == number)
            self._current += 1
            self._moved.notify_all()


class Ticket:
    """Says when one batch may be answered."""

    def __init__(self, order: ResponseOrder, number: int) -> None:
        self._order = order
        self._number = number

    def wait(self) -> None:
        """Wait until this batch may be answered."""
        self._order.wait_for(self._number)

    def end(self) -> None:
        """End its turn: the batch is answered."""
        self._order.end(self._number)
