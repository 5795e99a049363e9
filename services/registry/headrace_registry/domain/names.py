"""What a model and an alias may be called."""

from __future__ import annotations

import re

from headrace import errors

_MODEL = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,127}")
_ALIAS = re.compile(r"[a-z][a-z0-9_-]{0,62}")


def check_model_name(name: str) -> str:
    """The name, if it is one. Raises InvalidArgument (MODEL_NAME_INVALID)."""
    if not _MODEL.fullmatch(name):
        raise errors.InvalidArgument(
            "MODEL_NAME_INVALID",
            f"{name!r} is no name of a model: 1 to 128 letters, digits, '.', '_' or '-', the first "
            "a letter or a digit",
        )
    return name


def check_alias_name(name: str) -> str:
    """The name, if it is one; it never looks like a number. Raises InvalidArgument (ALIAS_NAME_INVALID)."""
    if not _ALIAS.fullmatch(name):
        raise errors.InvalidArgument(
            "ALIAS_NAME_INVALID",
            f"{name!r} is no name of an alias: 1 to 63 lower-case letters, digits, '_' or '-', the "
            "first a letter",
        )
    return name


def model_resource(model: str) -> str:
    """`models/{model}`."""
    return f"models/{model}"


def version_resource(model: str, number: int) -> str:
    """`models/{model}/versions/{number}`."""
    return f"models/{model}/versions/{number}"


def alias_resource(model: str, alias: str) -> str:
    """`models/{model}/aliases/{alias}`."""
    return f"models/{model}/aliases/{alias}"


def route_resource(model: str) -> str:
    """`models/{model}/route`."""
    return f"models/{model}/route"
