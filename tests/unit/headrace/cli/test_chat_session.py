"""A conversation at the command line, without a terminal or a model."""

from __future__ import annotations

import pytest

from headrace.cli.chat_session import ChatSession
from headrace.cli.generation_flags import Pace
from headrace.client import GenerationPart, Usage


def test_turns_are_kept_behind_the_system_message() -> None:
    """What the model is to answer is all that was said, the system message first."""
    session = ChatSession("Be brief.")
    assert session.take("Hello") == "ask"
    session.answered("Hi.")
    assert session.take("  and now?") == "ask"

    assert session.messages() == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi."},
        {"role": "user", "content": "  and now?"},
    ]


def test_a_question_without_an_answer_is_withdrawn() -> None:
    """A question that failed is not asked again with the next one."""
    session = ChatSession()
    session.take("Hello")
    session.withdraw()

    assert session.messages() == []


@pytest.mark.parametrize(
    ("line", "step"),
    [
        ("", "nothing"),
        ("   ", "nothing"),
        ("/exit", "exit"),
        ("/quit", "exit"),
        ("/help", "tell"),
        ("/nonsense", "tell"),
    ],
)
def test_commands_ask_nothing(line: str, step: str) -> None:
    """A command, known or not, never reaches the model."""
    session = ChatSession()

    assert session.take(line) == step
    assert session.turns == []


def test_reset_keeps_the_system_message() -> None:
    """/reset forgets the turns, /system changes what the model is told to be."""
    session = ChatSession("Be brief.")
    session.take("Hello")
    session.take("/reset")
    assert session.messages() == [{"role": "system", "content": "Be brief."}]
    session.take("/system Be long.")
    assert session.messages() == [{"role": "system", "content": "Be long."}]
    session.take("/system")
    assert session.messages() == []


def test_pace_counts_from_the_question() -> None:
    """The first token is timed from the question, the rate from the first token on."""
    pace = Pace(began=10.0)
    pace.take(GenerationPart("m", 1, "stable", token_ids=(1,)), 10.5)
    pace.take(GenerationPart("m", 1, "stable", token_ids=(2, 3)), 11.0)
    pace.take(GenerationPart("m", 1, "stable", usage=Usage(8, 3, 4)), 11.1)

    assert pace.first_token_seconds == 0.5
    assert pace.tokens_per_second == 4.0
    assert pace.line() == (
        "3 tokens, 4.0 tokens/s, the first after 500 ms, 4 of 8 prompt tokens reused"
    )
