"""Resource names, such as `models/digits/versions/3`: their syntax, in one place."""

from __future__ import annotations

import re

from headrace import errors

_MODEL = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,127}")
_ALIAS = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_MAX_NUMBER = 2**63 - 1


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


def reference_resource(model: str, number: int) -> str:
    """`models/{model}/versions/{number}/reference`."""
    return f"{version_resource(model, number)}/reference"


def annotations_resource(model: str, number: int) -> str:
    """`models/{model}/versions/{number}/annotations`."""
    return f"{version_resource(model, number)}/annotations"


def model_of(resource: str) -> str:
    """The model that a resource is or belongs to; '' where it belongs to none."""
    collection, _, rest = resource.partition("/")
    return rest.partition("/")[0] if collection == "models" else ""


def parse_model(name: str) -> str:
    """The model of `models/{model}`. Raises InvalidArgument, as all of these do."""
    (model,) = _parts(name, "models/{model}")
    return check_model_name(model)


def parse_version(name: str) -> tuple[str, int]:
    """The model and number of `models/{model}/versions/{number}`."""
    model, number = _parts(name, "models/{model}/versions/{number}")
    return check_model_name(model), _parse_number(number)


def parse_reference(name: str) -> tuple[str, int]:
    """The model and number of `models/{model}/versions/{number}/reference`."""
    model, number = _parts(name, "models/{model}/versions/{number}/reference")
    return check_model_name(model), _parse_number(number)


def parse_annotations(name: str) -> tuple[str, int]:
    """The model and number of `models/{model}/versions/{number}/annotations`."""
    model, number = _parts(name, "models/{model}/versions/{number}/annotations")
    return check_model_name(model), _parse_number(number)


def parse_alias(name: str) -> tuple[str, str]:
    """The model and alias of `models/{model}/aliases/{alias}`."""
    model, alias = _parts(name, "models/{model}/aliases/{alias}")
    return check_model_name(model), check_alias_name(alias)


def parse_route(name: str) -> str:
    """The model of `models/{model}/route`."""
    (model,) = _parts(name, "models/{model}/route")
    return check_model_name(model)


def check_model_name(name: str) -> str:
    """The name, if a model may have it. Raises InvalidArgument (MODEL_NAME_INVALID)."""
    if not _MODEL.fullmatch(name):
        raise errors.InvalidArgument(
            "MODEL_NAME_INVALID",
            f"{name!r} is not a valid model name: use 1 to 128 letters, digits, '.', '_' or '-', and begin "
            f"with a letter or a digit{_such_as(name)}",
        )
    return name


def nearest_model_name(text: str) -> str:
    """The valid model name that is nearest to a text; '' where nothing of it can be in one."""
    return re.sub(r"[^a-zA-Z0-9._-]+", "-", text[:128]).strip("._-")


def _such_as(name: str) -> str:
    nearest = nearest_model_name(name)
    return f", such as {nearest!r}" if nearest else ""


def check_alias_name(name: str) -> str:
    """The name, if an alias may have it: it never looks like a number.

    Raises InvalidArgument (ALIAS_NAME_INVALID).
    """
    if not _ALIAS.fullmatch(name):
        raise errors.InvalidArgument(
            "ALIAS_NAME_INVALID",
            f"{name!r} is not a valid alias name: use 1 to 63 lower-case letters, digits, '_' or '-', and "
            "begin with a letter",
        )
    return name


def _parts(name: str, pattern: str) -> list[str]:
    """Return what stands in `name` for the braces of `pattern`."""
    given, expected = name.split("/"), pattern.split("/")
    pairs = list(zip(given, expected, strict=False))
    fits = all(there == wanted or wanted.startswith("{") for there, wanted in pairs)
    if len(given) != len(expected) or not fits:
        raise errors.InvalidArgument(
            "RESOURCE_NAME_INVALID",
            f"{name[:300]!r} is not a valid resource name: it must be {pattern}",
        )
    return [there for there, wanted in pairs if wanted.startswith("{")]


def _parse_number(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or text[0] == "0" or int(text[:20]) > _MAX_NUMBER:
        raise errors.InvalidArgument(
            "VERSION_NUMBER_INVALID",
            f"{text[:80]!r} is not a valid version number: use 1, 2, 3 ...",
        )
    return int(text)
