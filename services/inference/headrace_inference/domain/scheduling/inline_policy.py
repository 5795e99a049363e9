"""Decides whether the thread that received requests runs them itself, or queues them for an instance.

Waking an instance costs two switches of threads, some 80 µs: more than a small model's run. But nothing is
received meanwhile, so only what is expected to be over soon is run inline. Measured with
`benchmarks.data_plane`, see docs/adr/0022-inline-runs.md.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class InlinePolicy:
    """The decision, from what is known to run inline or queue; and what is learnt from runs and calls.

    Whoever asks keeps what is known: how long a run of the version is expected to take (at first for
    ever), and how many calls came one at a time.
    """

    max_run_ns: int = 250_000
    """A run that is expected to take longer is queued."""
    max_burst_ns: int = 1_000_000
    """So are bursts whose runs take longer together."""
    max_idle_run_ns: int = 1_000_000
    """A single request's run may take so long while calls come one at a time: nobody else waits for it."""
    idle_calls: int = 8
    """So many calls in a row that came one at a time are a pattern."""
    waited_ns: int = 30_000
    """A call that is received so soon after the one before was there already: it had to wait."""
    stall_ns: int = 20_000_000
    """An inline run that takes longer, a hundred times what was expected, holds up all other calls."""

    def runs_inline(self, expected_ns: float, runs: int, single_calls: int) -> bool:
        """Decide for requests that make so many runs, of which each is expected to take so long.

        `single_calls` is the last count of `count_single_calls`.
        """
        if expected_ns <= self.max_run_ns:
            return expected_ns * runs <= self.max_burst_ns
        return single_calls >= self.idle_calls and expected_ns <= self.max_idle_run_ns

    def expect(self, expected_ns: float, took_ns: int) -> float:
        """Expect of the next run what the last ones took, up to their answers: a mean that moves slowly.

        A run that waited for the interpreter is no slow run; several slow ones in a row are.
        """
        expected_ns = min(expected_ns, 10.0 * self.max_run_ns)
        return expected_ns + (min(took_ns, 8 * expected_ns) - expected_ns) / 8

    def count_single_calls(self, before: int, calls: int, gap_ns: int) -> int:
        """Count the calls in a row that came one at a time and had not to wait, `idle_calls` at most.

        The last burst brought so many calls, so long after the one before it was taken.
        """
        if calls != 1 or gap_ns < self.waited_ns:
            return 0
        return min(before + 1, self.idle_calls)

    def is_stalled(self, since_ns: int, now_ns: int) -> bool:
        """Tell whether a burst that is being taken since then needs another thread to receive the next."""
        return now_ns - since_ns > self.stall_ns


INLINE_POLICY = InlinePolicy()
