"""The rights that each service needs in the shared state's server, as ACL users of Redis and Valkey."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from headrace.state.keys import Keys

Release = Literal["7.0", "7.2"]
"""7.0 refuses to start with commands that it does not know; 7.2 stands for later ones, and Valkey, too."""

_REGISTRY = (
    *("get", "set", "del", "mget", "exists"),
    *("hget", "hset", "hdel", "hlen", "hscan", "hmget", "hgetall"),
    *("xadd", "xread", "xrange", "xrevrange", "zrange"),
    *("eval", "eval_ro", "multi", "exec", "ping", "info", "config|get"),
)
_REPLICA = (
    *("get", "set", "del", "mget", "hget", "hset", "hdel", "hlen", "hscan", "expire"),
    *("xread", "xrange", "zadd", "zrem", "zremrangebyscore", "time"),
    *("eval", "eval_ro", "multi", "exec", "ping"),
)
_SINCE_7_2 = ("client|setinfo",)


@dataclass(frozen=True, slots=True)
class AclUser:
    """One user: the rules that say what it may."""

    name: str
    rules: tuple[str, ...]

    def line(self, password: str = "") -> str:
        """The user as a line of an ACL file: on with a password, whose digest it holds; off without."""
        digest = hashlib.sha256(password.encode()).hexdigest()
        state = ("on", f"#{digest}") if password else ("off",)
        return " ".join(["user", self.name, *state, "sanitize-payload", *self.rules])


def acl_users(namespace: str, release: Release) -> list[AclUser]:
    """The users of a namespace: for its registry, for its replicas, and for both, as `headrace up` has it.

    The monitor needs none. A replica reads all, and writes what says that it is there and nothing else.
    """
    keys = Keys(namespace)
    everything = keys.every
    own = (keys.replicas, keys.replica("*"), keys.replica_versions("*"))
    since = _SINCE_7_2 if release == "7.2" else ()
    durable = ("waitaof",) if release == "7.2" else ()
    prefix = "headrace" if namespace == "default" else f"headrace-{namespace}"
    return [
        AclUser(
            f"{prefix}-registry",
            ("resetchannels", f"~{everything}", *_allowed((*_REGISTRY, *durable, *since))),
        ),
        AclUser(
            f"{prefix}-replica",
            (
                "resetchannels",
                f"%R~{everything}",
                *(f"%RW~{key}" for key in own),
                *_allowed((*_REPLICA, *since)),
            ),
        ),
        AclUser(
            f"{prefix}-suite",
            (
                "resetchannels",
                f"~{everything}",
                *_allowed(tuple(dict.fromkeys((*_REGISTRY, *_REPLICA, *durable, *since)))),
            ),
        ),
    ]


def acl_file(namespace: str, release: Release, passwords: Mapping[str, str] | None = None) -> str:
    """The lines of an ACL file: of the users that have `passwords`, by the ends of their names.

    Without any it has all users, which are off.
    """
    users = {user.name.rpartition("-")[2]: user for user in acl_users(namespace, release)}
    given = passwords or dict.fromkeys(users, "")
    return "".join(f"{user.line(given[who])}\n" for who, user in users.items() if who in given)


def _allowed(commands: tuple[str, ...]) -> tuple[str, ...]:
    return ("-@all", *(f"+{command}" for command in commands))
