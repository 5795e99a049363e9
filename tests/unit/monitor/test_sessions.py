"""Sessions of browsers: how long they last, and how many there are."""

from __future__ import annotations

from headrace_monitor.domain.sessions import (
    MAX_SESSIONS,
    MAX_SESSIONS_A_SUBJECT,
    SESSION_SECONDS,
    Sessions,
)


def test_a_session_ends_when_its_time_is_over() -> None:
    """A cookie that was stolen long ago opens nothing."""
    now = [0.0]
    sessions = Sessions(lambda: now[0])
    cookie = sessions.begin("alice", "Bearer k")
    now[0] = SESSION_SECONDS - 1
    assert sessions.authorization_of(cookie) == "Bearer k"
    now[0] = SESSION_SECONDS
    assert sessions.authorization_of(cookie) == ""
    sessions.begin("alice", "Bearer k")
    assert len(sessions) == 1


def test_the_oldest_sessions_end_where_there_would_be_too_many() -> None:
    """Of one subject, and of all."""
    sessions = Sessions(lambda: 0.0)
    own = [sessions.begin("alice", "Bearer k") for _ in range(MAX_SESSIONS_A_SUBJECT + 1)]
    assert [bool(sessions.authorization_of(cookie)) for cookie in own[:2]] == [False, True]
    for number in range(MAX_SESSIONS):
        sessions.begin(f"subject-{number}", "Bearer k")
    assert len(sessions) == MAX_SESSIONS
    assert sessions.authorization_of(own[-1]) == ""


def test_an_ended_session_opens_nothing() -> None:
    """Nor does a cookie that never stood for one."""
    sessions = Sessions(lambda: 0.0)
    cookie = sessions.begin("alice", "Bearer k")
    sessions.end(cookie)
    sessions.end("another")
    assert [sessions.authorization_of(each) for each in (cookie, "", "\ud800")] == ["", "", ""]
