"""Takes user and password out of the URL of a Redis server."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.state.connection import check_redis
from headrace.state.redis_server import RedisServer
from headrace.state.redis_url import forget_passwords, split_credentials


@pytest.mark.parametrize(
    ("url", "rest", "user", "password"),
    [
        ("redis://host:6379/1", "redis://host:6379/1", None, None),
        ("redis://:p%40w@host", "redis://host", None, "p@w"),
        ("rediss://ann:p@host:1/0", "rediss://host:1/0", "ann", "p"),
        ("redis://ann@host", "redis://host", "ann", None),
        ("redis://host/0?password=p&db=1", "redis://host/0?db=1", None, "p"),
        ("redis://host?db=1&username=ann&password=p", "redis://host?db=1", "ann", "p"),
        ("unix://ann:p@/run/r.sock", "unix:///run/r.sock", "ann", "p"),
        ("unix:///run/a@b/r.sock", "unix:///run/a@b/r.sock", None, None),
    ],
)
def test_credentials_are_taken_out(
    url: str, rest: str, user: str | None, password: str | None
) -> None:
    """What is left connects to the same place, and has no secret."""
    assert (rest, user, password) == split_credentials(url)


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("redis://:p@10.0.0.7:6379", True),
        ("redis://:p@redis", True),
        ("rediss://:p@redis", False),
        ("redis://:p@127.0.0.1", False),
        ("redis://:p@[::1]:6379", False),
        ("unix:///run/redis.sock?password=p", False),
        ("redis://redis", False),
    ],
)
def test_a_password_that_others_could_read_is_known(url: str, plain: bool) -> None:
    """Over a network, without TLS."""
    assert plain == RedisServer(url).sends_in_plaintext


def test_a_password_goes_to_a_file(tmp_path: Path) -> None:
    """The user stays in the URL, and both files are read when they are asked for."""
    file = tmp_path / "password"
    server = RedisServer("redis://ann:old@host:1/2").without_secret(file)
    file.write_text("new\n")
    assert "redis://ann@host:1/2" == server.url
    assert ("ann", "new") == server.credentials()


def test_urls_with_passwords_leave_the_environment() -> None:
    """Those without one, and all else, stay."""
    environ = {
        "HEADRACE_REDIS_URL": "redis://:p@host",
        "HEADRACE_REGISTRY_REDIS_URL": "redis://host?password=p",
        "HEADRACE_INFERENCE_REDIS_URL": "redis://host",
        "OTHER_REDIS_URL": "redis://:p@host",
    }
    forget_passwords(environ)
    assert {"HEADRACE_INFERENCE_REDIS_URL", "OTHER_REDIS_URL"} == set(environ)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """At the start, and as one that cannot be read where it came later."""
    file = tmp_path / "password"
    file.write_bytes(b"\xff\xfe")
    server = RedisServer("redis://host", password_file=file)
    assert "is no text in UTF-8" in next(server.problems())
    with pytest.raises(OSError, match="is no text"):
        server.credentials()


@pytest.mark.parametrize(
    ("server", "words"),
    [
        (RedisServer("redis://:a/canary@host"), "percent-encoded"),
        (RedisServer("redis://:p@host", password_file=Path("/nowhere")), "has a password, too"),
        (RedisServer("redis://host", tls_ca=Path("/nowhere")), "begin with rediss://"),
        (RedisServer("rediss://host", tls_cert=Path("/nowhere")), "give both or none"),
        (RedisServer("redis://host", password_file=Path("/nowhere")), "cannot read /nowhere"),
    ],
)
def test_what_cannot_be_called_is_refused(server: RedisServer, words: str) -> None:
    """The message says what to do, and never quotes a password."""
    with pytest.raises(ValueError, match=words) as caught:
        check_redis(server)
    assert "canary" not in str(caught.value)
