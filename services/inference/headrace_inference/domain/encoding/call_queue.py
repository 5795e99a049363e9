"""The queue of a version's calls: which are let in, which wait too long, and whose texts run next.

None of it is locked: a batcher is, and calls it with its mutex held.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from headrace.errors import HeadraceError
from headrace.state.records import QueuePolicy, ServingConfig, TimeoutAction
from headrace_inference.domain.encoding.batch_policy import Limits, next_batch
from headrace_inference.domain.encoding.requests import EncodingCall
from headrace_inference.domain.encoding.text_limits import check_length, refuse_empty
from headrace_inference.domain.encoding.waiting_texts import PendingCall, Text, WaitingTexts
from headrace_inference.domain.scheduling import queue_refusals as refusals
from headrace_inference.domain.scheduling.admission import LongWait, max_wait_ns
from headrace_inference.domain.scheduling.drain_rate import DrainRate
from headrace_inference.domain.scheduling.requests import BACKGROUND


class CallQueue:
    """The calls of one version of which a text waits, up to the bounds of its serving config."""

    def __init__(
        self,
        name: str,
        config: ServingConfig,
        context_length: int,
        padded: Callable[[int], int],
    ) -> None:
        """`padded` tells to how many tokens a text of so many is padded."""
        self._name = name
        self._config = config
        self._context_length = context_length
        self._padded = padded
        self._levels = max(1, config.priorities.levels)
        self._times_out = any(
            policy.timeout_microseconds
            for policy in (config.queue, *config.priorities.queues.values())
        )
        self._rate = DrainRate(config.instances)
        self._waiting = WaitingTexts()
        self.in_flight = 0
        """Calls that wait or run."""

    @property
    def texts(self) -> int:
        """Count the texts that wait."""
        return self._waiting.texts

    def put(self, call: EncodingCall, now_ns: int) -> PendingCall:
        """Have a call's texts wait. Raises ResourceExhausted, DeadlineExceeded, InvalidArgument."""
        refuse_empty(len(call.request.texts))
        level = self._level_of(call)
        lengths = [self._length_of(tokens) for tokens in call.request.texts]
        self._refuse_excess(call, self._policy_of(level), now_ns)
        pending = PendingCall(call, level, lengths)
        self._waiting.put(pending)
        self.in_flight += 1
        return pending

    def take(self, limits: Limits) -> tuple[list[Text], int]:
        """Take the texts that run next, and the length that they are padded to; none where none waits."""
        while choice := next_batch(self._waiting.heads(), limits):
            if taken := self._waiting.take(choice):
                return taken, choice.length
        return [], 0

    def end(self, pending: PendingCall) -> bool:
        """A call has ended: no text of it waits any more. False: it had ended already."""
        if pending.ended:
            return False
        pending.ended = True
        self._waiting.drop(pending)
        self.in_flight -= 1
        return True

    def unwanted(self, now_ns: int) -> Sequence[tuple[PendingCall, HeadraceError]]:
        """Return the calls that are not to be run any more, and why; others are put behind the rest."""
        found = [(pending, self.refusal(pending, now_ns)) for pending in list(self._waiting.calls)]
        return [(pending, refusal) for pending, refusal in found if refusal is not None]

    def refusal(self, pending: PendingCall, now_ns: int) -> HeadraceError | None:
        """Return why a call is not to be run any more; None: go on."""
        if refusal := refusals.not_awaited(pending.call, now_ns):
            return refusal
        if not self._times_out or pending.call.started_ns or pending.level > self._levels:
            return None
        policy = self._policy_of(pending.level)
        limit_ns, waited_ns = policy.timeout_microseconds * 1000, now_ns - pending.call.received_ns
        if not limit_ns or waited_ns <= limit_ns:
            return None
        if policy.timeout_action is TimeoutAction.DELAY:
            self._waiting.put_behind(pending, self._levels)
            return None
        wait_ns = self._rate.wait_ns(self._waiting.tokens, now_ns)
        return refusals.waited_too_long(waited_ns, limit_ns, wait_ns)

    def record_run(self, tokens: int, took_ns: int, now_ns: int) -> None:
        """Learn from a run of so many tokens, padding counted, that is over now."""
        self._rate.record(tokens, took_ns, now_ns, left_waiting=bool(self._waiting.texts))

    def _length_of(self, tokens: Sequence[int]) -> int:
        check_length(self._name, len(tokens), self._context_length)
        return self._padded(len(tokens))

    def _level_of(self, call: EncodingCall) -> int:
        asked = call.request.priority
        if asked == BACKGROUND:
            return max(1, self._levels)
        known = 1 <= asked <= self._levels
        return asked if known else max(1, self._config.priorities.default_level)

    def _policy_of(self, level: int) -> QueuePolicy:
        return self._config.priorities.queues.get(level, self._config.queue)

    def _refuse_excess(self, call: EncodingCall, policy: QueuePolicy, now_ns: int) -> None:
        wait_ns = self._rate.wait_ns(self._waiting.tokens, now_ns)
        most = self._config.max_in_flight_requests
        if most and self.in_flight >= most:
            raise refusals.over_limit(self._name, most, wait_ns)
        if len(self._waiting.calls) >= policy.max_requests:
            raise refusals.queue_full(self._name, policy.max_requests, wait_ns)
        limit_ns = max_wait_ns(policy, len(self._waiting.calls))
        if wait_ns > limit_ns:
            raise refusals.wait_too_long(self._name, LongWait(wait_ns, limit_ns))
        left_ns = float("inf") if call.deadline_ns is None else call.deadline_ns - now_ns
        if wait_ns > left_ns > 0:
            raise refusals.wait_too_long(self._name, LongWait(wait_ns, left_ns, is_deadline=True))
