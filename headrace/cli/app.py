"""The command line, assembled: every command, the options before them, and how it ends."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from headrace import errors, settings
from headrace.cli import error_report
from headrace.cli.command import common_parameters
from headrace.cli.command_group import CommandGroup

UsageError: type[Any] = typer.BadParameter.__mro__[2]
"""What Typer raises for wrong arguments; the class has no public name in all its versions."""


def build() -> typer.Typer:
    """The whole command line."""
    app = typer.Typer(
        name="headrace",
        cls=CommandGroup,
        help="Model-as-a-Service for ONNX models: push, serve, call, watch and replace them.",
        epilog=error_report.EXIT_CODES,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options_before_the_command())
    return app


SUITES = ("headrace up", "headrace serve")
"""Commands that start services with the environment that they have."""


def run(arguments: Sequence[str]) -> int:
    """Run one command; returns its exit status. Expected errors are one line on standard error."""
    as_json = "--json" in arguments
    try:
        result = build()(args=list(arguments), prog_name="headrace", standalone_mode=False)
    except errors.HeadraceError as error:
        return error_report.report(error, as_json=as_json)
    except settings.SettingsError as error:
        return error_report.report_usage(str(error), "headrace", as_json=as_json)
    except UsageError as error:
        command = error.ctx.command_path if getattr(error, "ctx", None) else "headrace"
        return error_report.report_usage(
            _said(error), command, as_json=as_json, hint=_setting_hint(error, command)
        )
    except typer.Abort:
        return error_report.EXIT_INTERRUPTED
    return result if isinstance(result, int) else 0


def _said(error: Any) -> str:
    """Return what is wrong with the arguments; of our own words nothing but these."""
    message: str = error.format_message()
    return message.removeprefix("Invalid value: ")


def _setting_hint(error: Any, command: str) -> str:
    """Where a flag of a service goes whose suite is started: into the environment that services share."""
    flag = getattr(error, "option_name", "")
    is_mistyped = bool(getattr(error, "possibilities", None))
    if command not in SUITES or is_mistyped or not flag.startswith("--"):
        return ""
    variable = "HEADRACE_" + flag.removeprefix("--").replace("-", "_").upper()
    return f"settings of its services go into the environment: {variable}=… {command}"


def _options_before_the_command() -> Any:
    def options(ctx: typer.Context, **given: Any) -> None:
        given.pop("show_version")
        ctx.obj = given

    version_option = Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ]
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [
        inspect.Parameter("ctx", keyword, annotation=typer.Context),
        inspect.Parameter("show_version", keyword, default=False, annotation=version_option),
        *common_parameters(),
    ]
    options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # as in command.py
    options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return options


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"headrace {version('headrace')}")
        raise typer.Exit
