"""The address of the shared state as people may see it; no client library is needed to say it."""

from __future__ import annotations

import re


def without_password(url: str) -> str:
    """The URL with `***` in the place of its password."""
    url = re.sub(r"([?&]password=)[^&#]*", r"\1***", url)
    scheme, separator, rest = url.partition("://")
    user_info, at, place = rest.rpartition("@")
    if not at or (scheme == "unix" and "/" in user_info):
        return url
    user, colon, _ = user_info.partition(":")
    return f"{scheme}{separator}{user}{colon and ':***'}@{place}"
