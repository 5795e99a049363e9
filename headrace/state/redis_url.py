"""The address of the shared state as people may see it; no client library is needed to say it."""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from urllib.parse import unquote

_IN_QUERY = re.compile(r"([?&])(username|password)=([^&#]*)")
_VARIABLE = re.compile(r"HEADRACE_(?:[A-Z]+_)?REDIS_URL")


def without_password(url: str) -> str:
    """The URL with `***` in the place of its password."""
    url = re.sub(r"([?&]password=)[^&#]*", r"\1***", url)
    scheme, separator, rest = url.partition("://")
    user_info, at, place = rest.rpartition("@")
    if not at or (scheme == "unix" and "/" in user_info):
        return url
    user, colon, _ = user_info.partition(":")
    return f"{scheme}{separator}{user}{colon and ':***'}@{place}"


def split_credentials(url: str) -> tuple[str, str | None, str | None]:
    """The URL without user and password, and these two, as far as it has them.

    The user is as it stood there, percent-encoded or not; the password is decoded.
    """
    scheme, separator, rest = url.partition("://")
    user_info, at, place = rest.rpartition("@")
    user = password = None
    if at and not (scheme == "unix" and "/" in user_info):
        user, colon, secret = user_info.partition(":")
        password, rest = (unquote(secret) if colon else None), place
    for _, name, value in _IN_QUERY.findall(rest):
        if name == "password":
            password = unquote(value)
        else:
            user = value
    rest = _IN_QUERY.sub(lambda found: "?" if found[1] == "?" else "", rest)
    rest = rest.replace("?&", "?").removesuffix("?")
    return f"{scheme}{separator}{rest}", user or None, password


def forget_passwords(environ: MutableMapping[str, str]) -> None:
    """Take out of the environment the URLs that have a password, so that no child inherits them."""
    for name in [name for name in environ if _VARIABLE.fullmatch(name)]:
        if split_credentials(environ[name])[2] is not None:
            del environ[name]
