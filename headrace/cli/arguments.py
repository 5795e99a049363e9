"""Arguments that several commands take: names of models and versions, checked and completed."""

from __future__ import annotations

from typing import Annotated

import typer

from headrace.cli.completion import callable_names, model_names, version_names


def _checked(name: str) -> str:
    """The name, if a model may have it: what is misspelt is told before any service is asked."""
    from headrace.resource_names import check_model_name

    return check_model_name(name) if name else name


def _checked_callable(name: str) -> str:
    """The same for what may have an alias behind an '@'."""
    _checked(name.partition("@")[0])
    return name


ModelName = Annotated[
    str, typer.Argument(help="The model.", autocompletion=model_names, callback=_checked)
]
NewModelName = Annotated[
    str,
    typer.Argument(
        help="The model; it is created if there is none. A path alone gives it the file's name.",
        autocompletion=model_names,
    ),
]
OnlyModelName = Annotated[
    str, typer.Argument(help="Only this model.", autocompletion=model_names, callback=_checked)
]
CallableName = Annotated[
    str,
    typer.Argument(
        metavar="NAME[@ALIAS]",
        help="The model.",
        autocompletion=callable_names,
        callback=_checked_callable,
    ),
]
VersionOrAlias = Annotated[
    str,
    typer.Option(
        help="A version's number or alias; without one, the route decides.",
        autocompletion=version_names,
    ),
]
Patterns = Annotated[
    list[str] | None,
    typer.Option(
        "--models",
        metavar="PATTERN",
        help=r"For models whose names fit: fraud-\*, '\*' is any text; several times. [default: all]",
        show_default=False,
    ),
]
