"""Resource names: their syntax, and the nouns in them."""

from __future__ import annotations

from headrace import errors
from headrace_registry.domain.names import check_alias_name, check_model_name

_MAX_NUMBER = 2**63 - 1


def parse_model(name: str) -> str:
    """The model of `models/{model}`. Raises InvalidArgument, as all of these do."""
    (model,) = _parts(name, "models/{model}")
    return check_model_name(model)


def parse_version(name: str) -> tuple[str, int]:
    """The model and number of `models/{model}/versions/{number}`."""
    model, number = _parts(name, "models/{model}/versions/{number}")
    return check_model_name(model), _parse_number(number)


def parse_alias(name: str) -> tuple[str, str]:
    """The model and alias of `models/{model}/aliases/{alias}`."""
    model, alias = _parts(name, "models/{model}/aliases/{alias}")
    return check_model_name(model), check_alias_name(alias)


def parse_route(name: str) -> str:
    """The model of `models/{model}/route`."""
    (model,) = _parts(name, "models/{model}/route")
    return check_model_name(model)


def parse_digest(sha256: str, field: str) -> str:
    """A SHA-256 in lower case. Raises InvalidArgument (DIGEST_INVALID)."""
    digest = sha256.lower()
    if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
        raise errors.InvalidArgument(
            "DIGEST_INVALID",
            f"{field} is {sha256[:80]!r}; it must be a SHA-256, 64 hex digits",
            violations=(errors.FieldViolation(field, "64 hex digits"),),
        )
    return digest


def _parts(name: str, pattern: str) -> list[str]:
    """What stands in `name` for the braces of `pattern`."""
    given, expected = name.split("/"), pattern.split("/")
    pairs = list(zip(given, expected, strict=False))
    fits = all(there == wanted or wanted.startswith("{") for there, wanted in pairs)
    if len(given) != len(expected) or not fits:
        raise errors.InvalidArgument(
            "RESOURCE_NAME_INVALID",
            f"{name[:300]!r} is no resource name here; it must be {pattern}",
        )
    return [there for there, wanted in pairs if wanted.startswith("{")]


def _parse_number(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or text[0] == "0" or int(text[:20]) > _MAX_NUMBER:
        raise errors.InvalidArgument(
            "VERSION_NUMBER_INVALID", f"{text[:80]!r} is no version number: they are 1, 2, 3 ..."
        )
    return int(text)
