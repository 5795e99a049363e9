"""The books of waiting texts: turns, ends, and who is put behind."""

from __future__ import annotations

from collections.abc import Sequence

from headrace.errors import HeadraceError
from headrace_inference.domain.encoding.batch_policy import Limits, next_batch
from headrace_inference.domain.encoding.requests import EncodingCall, EncodingRequest, Vectors
from headrace_inference.domain.encoding.waiting_texts import PendingCall, WaitingTexts


class _Nobody:
    def encoded(self, vectors: Vectors) -> None: ...

    def failed(self, error: HeadraceError) -> None: ...


def _pending(lengths: Sequence[int], level: int = 1) -> PendingCall:
    request = EncodingRequest([[0] * length for length in lengths])
    return PendingCall(EncodingCall(request, _Nobody(), "stable", 0), level, lengths)


def _order(waiting: WaitingTexts, limits: Limits) -> list[tuple[PendingCall, int]]:
    order = []
    while choice := next_batch(waiting.heads(), limits):
        order += waiting.take(choice)
    return order


def test_a_large_call_and_small_ones_share_the_version() -> None:
    """Who sends one text is not behind all texts of a call that came before."""
    waiting = WaitingTexts()
    large, small = _pending([8] * 100), _pending([8])
    waiting.put(large)
    first = waiting.take(next_batch(waiting.heads(), Limits(16, 2)))  # type: ignore[arg-type]
    waiting.put(small)
    order = _order(waiting, Limits(16, 2))
    assert [text for _, text in first] == [0, 1]
    assert order.index((small, 0)) < 2
    assert len(order) == 99
    assert (waiting.texts, waiting.tokens, waiting.calls) == (0, 0, set())


def test_a_constant_stream_of_small_calls_does_not_starve_a_large_one() -> None:
    """A text's turn is fixed when it comes: later ones never push it back for ever."""
    waiting = WaitingTexts()
    large = _pending([8] * 20)
    waiting.put(large)
    taken = 0
    for _ in range(60):
        waiting.put(_pending([8]))
        for pending, _ in waiting.take(next_batch(waiting.heads(), Limits(16, 2))):  # type: ignore[arg-type]
            taken += pending is large
    assert taken == 20


def test_texts_of_a_call_that_ended_are_passed_over() -> None:
    """What was cancelled takes no room in a batch, and does not count as waiting."""
    waiting = WaitingTexts()
    gone, stays = _pending([8, 8, 8]), _pending([8])
    waiting.put(gone)
    waiting.put(stays)
    gone.ended = True
    waiting.drop(gone)
    assert waiting.texts == 1
    assert _order(waiting, Limits(64, 8)) == [(stays, 0)]


def test_a_call_that_waited_too_long_can_be_put_behind_all_levels() -> None:
    """TimeoutAction.DELAY: it runs when nothing else waits."""
    waiting = WaitingTexts()
    late, low = _pending([8], level=1), _pending([8], level=3)
    waiting.put(late)
    waiting.put(low)
    waiting.put_behind(late, 3)
    assert _order(waiting, Limits(8, 1)) == [(low, 0), (late, 0)]
    assert waiting.texts == 0
