"""Options that belong together, as one frozen dataclass that several commands take."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import typing
from collections.abc import Callable, Iterator
from typing import Any


def with_groups(function: Callable[..., None]) -> Callable[..., None]:
    """The function as Typer takes it: each parameter that is a dataclass stands as the fields of it.

    A field is an option as a parameter is: `Annotated` with its text, and a default. Two groups have no
    field of one name.
    """
    hints = typing.get_type_hints(function, include_extras=True)
    own = inspect.signature(function).parameters.values()
    groups = {one.name: hints[one.name] for one in own if dataclasses.is_dataclass(hints[one.name])}

    @functools.wraps(function)
    def run(**given: Any) -> None:
        made = {
            name: group(
                **{field.name: given.pop(field.name) for field in dataclasses.fields(group)}
            )
            for name, group in groups.items()
        }
        function(**given, **made)

    parameters = [
        parameter
        for one in own
        for parameter in (
            _fields(groups[one.name])
            if one.name in groups
            else [_parameter(one.name, hints[one.name], one.default)]
        )
    ]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # functions have it
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _fields(group: type) -> Iterator[inspect.Parameter]:
    hints = typing.get_type_hints(group, include_extras=True)
    for field in dataclasses.fields(group):
        yield _parameter(field.name, hints[field.name], field.default)


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )
