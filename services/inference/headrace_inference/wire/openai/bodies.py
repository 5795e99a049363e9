"""Reads the JSON of a request: what it is made of, and which member of it is wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

import msgspec

from headrace.errors import HeadraceError, InvalidArgument
from headrace.service.http.requests import Body
from headrace_inference.wire.openai.errors import PARAMETER

MAX_DEPTH = 64
"""How deep JSON may be nested: whoever walks it later does so by recursion."""

Members = Mapping[str, object]
Known = TypeVar("Known")

_ANYTHING: msgspec.json.Decoder[object] = msgspec.json.Decoder()
_PLACE = re.compile(r" - at `(?:key in )?\$\.?([^`]*)`")


def wrong(parameter: str, message: str) -> HeadraceError:
    """Refuse a member's value."""
    return InvalidArgument("PARAMETER_INVALID", message, facts={PARAMETER: parameter})


def unsupported(parameter: str, message: str) -> HeadraceError:
    """Refuse a member that would change the answer, and that nobody looks at here."""
    return InvalidArgument("OPTION_UNSUPPORTED", message, facts={PARAMETER: parameter})


def members_of(body: Body) -> Members:
    """The members of a body that are not null.

    Raises InvalidArgument (MALFORMED_JSON, MALFORMED_REQUEST).
    """
    try:
        found = _ANYTHING.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _malformed(str(error)) from None
    except RecursionError:
        raise _too_deep() from None
    if not isinstance(found, dict):
        raise InvalidArgument("MALFORMED_REQUEST", "the body has to be a JSON object")
    begun = bytes(body)
    if begun.count(b"[") + begun.count(b"{") > MAX_DEPTH:
        _check_depth(found)
    return {name: value for name, value in found.items() if value is not None}


def known(kind: type[Known], members: Members, inside: str = "") -> Known:
    """Members as they are expected. Raises InvalidArgument (PARAMETER_INVALID), which names the one.

    They may be those of a member of the body: `inside` is what its path begins with.
    """
    try:
        return msgspec.convert(members, kind)
    except msgspec.ValidationError as error:
        text = str(error)
        place = _PLACE.search(text)
        parameter = inside + (place[1] if place else "")
        what = text[: place.start()] if place else text
        missing = re.search(r"missing required field `(\w+)`", what)
        if missing:
            parameter = f"{parameter.rstrip('.')}.{missing[1]}".lstrip(".")
            raise wrong(parameter, f"'{parameter}' is missing") from None
        raise wrong(parameter, f"'{parameter}': {what[:1].lower()}{what[1:]}") from None


def _check_depth(found: object) -> None:
    level: list[object] = [found]
    for _ in range(MAX_DEPTH):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return
    raise _too_deep()


def _inside(outer: object) -> list[object]:
    if isinstance(outer, dict):
        return list(outer.values())
    return outer if isinstance(outer, list) else []


def _too_deep() -> HeadraceError:
    return InvalidArgument(
        "MALFORMED_JSON", f"the body's JSON is nested too deep; {MAX_DEPTH} levels are taken"
    )


def _malformed(why: str) -> HeadraceError:
    return InvalidArgument(
        "MALFORMED_JSON",
        f"the body is not valid JSON: {why}; numbers have to be finite and texts whole Unicode",
    )
