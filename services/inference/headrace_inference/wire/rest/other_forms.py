"""Recognises bodies that are not in the form of infer, so that its error can say where they belong."""

from __future__ import annotations

from collections.abc import Callable, Collection

import msgspec

WayOut = Callable[[Collection[str]], str]
"""Says, by the members of a body, where it should have gone."""

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


def members_of_other_form(json: memoryview) -> Collection[str] | None:
    """The members of a JSON object without a list `inputs`; None for everything else."""
    try:
        members = _OBJECT.decode(json)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    inputs = members.get("inputs")
    is_list = inputs is not None and bytes(memoryview(inputs)[:1]) == b"["
    return None if is_list else members
