"""The W3C trace context: read, written, and decided by."""

from __future__ import annotations

import random

import pytest

from headrace.service import logs
from headrace.tracing.context import Sampler, TraceContext, parsed

GOOD = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_traceparent_is_read_as_it_is_written() -> None:
    context = parsed(GOOD)
    assert context == TraceContext(0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331)
    assert context.header() == GOOD
    unsampled = parsed(GOOD[:-2] + "00")
    assert unsampled is not None
    assert not unsampled.is_sampled
    assert parsed("01" + GOOD[2:] + "-of-a-later-version") == context


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        GOOD.upper(),
        "ff" + GOOD[2:],
        GOOD + "-more",
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01",
        GOOD[:-1],
    ],
)
def test_what_is_none_is_none(text: str) -> None:
    assert parsed(text) is None


def test_records_of_a_call_carry_the_trace_that_its_spans_have() -> None:
    """What begins no span is no trace in the log either."""
    good = logs.request_context([("traceparent", GOOD), ("x-request-id", "r")])
    assert ("r", GOOD.split("-")[1]) == (good.request_id, good.trace_id)
    nothing = f"00-{'x' * 32}-b7ad6b7169203331-01"
    assert logs.request_context([("traceparent", nothing)]).trace_id == ""


def test_callers_decide_for_their_calls_and_a_share_of_the_others_is_traced() -> None:
    never, always = Sampler(0.0), Sampler(1.0)
    assert never.context_of([("a", "b"), ("traceparent", GOOD)]) == parsed(GOOD)
    assert never.context_of([("Traceparent", GOOD)]) == parsed(GOOD)
    assert always.context_of([("traceparent", GOOD[:-2] + "00")]) is None
    assert never.context_of([("traceparent", "nonsense")]) is None
    begun = always.context_of([("traceparent", "nonsense")])
    assert begun is not None
    assert begun.span_id == 0
    tenth = Sampler(0.1, random.Random(1))
    assert 70 < sum(tenth.context_of([]) is not None for _ in range(1000)) < 130
