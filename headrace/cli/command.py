"""Commands: coroutine functions that get a `Cli` first, and the options that all of them take."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headrace import errors
from headrace.cli import output

if TYPE_CHECKING:
    from headrace.client import AsyncClient

FIRST_CONTACT_SECONDS = 1.0
"""A person who gave a wrong address, or has nothing running, is not kept waiting until the timeout."""

_PANEL = "Common options"
_REGISTRY = "The registry's address, host:port. (HEADRACE_REGISTRY; 127.0.0.1:8100)"
_INFERENCE = "A replica's address, host:port, or several: A,B. (HEADRACE_INFERENCE; 127.0.0.1:8001)"
_MONITOR = "The monitor's address, host:port. (HEADRACE_MONITOR; 127.0.0.1:8200)"
_TIMEOUT = "How many seconds the command may take. (HEADRACE_TIMEOUT_SECONDS; 30)"
_TLS_CA = "Authorities to trust, PEM: call over TLS, as grpcs://HOST:PORT does. (HEADRACE_TLS_CA)"
_TLS_CERT = "The certificate to show, PEM, where one is asked for. (HEADRACE_TLS_CERT)"
_TLS_KEY = "Its key. (HEADRACE_TLS_KEY)"
_KEY_FILE = "The file of the API key or token that calls bring. (HEADRACE_TOKEN_FILE)"
_PROFILE = "The profile that `headrace login` made. (HEADRACE_PROFILE; the one in use)"
_REASON = "Why: kept with the change, see `headrace audit`. (HEADRACE_REASON)"
_JSON = "Print one JSON document (a line each where the command goes on), errors too."


def _option(flag: str, text: str) -> Any:
    return typer.Option(flag, help=text, show_default=False, rich_help_panel=_PANEL)


COMMON: dict[str, tuple[Any, Any]] = {
    "registry": (Annotated[str | None, _option("--registry", _REGISTRY)], None),
    "inference": (Annotated[str | None, _option("--inference", _INFERENCE)], None),
    "monitor": (Annotated[str | None, _option("--monitor", _MONITOR)], None),
    "timeout_seconds": (Annotated[float | None, _option("--timeout", _TIMEOUT)], None),
    "tls_ca": (Annotated[Path | None, _option("--tls-ca", _TLS_CA)], None),
    "tls_cert": (Annotated[Path | None, _option("--tls-cert", _TLS_CERT)], None),
    "tls_key": (Annotated[Path | None, _option("--tls-key", _TLS_KEY)], None),
    "token_file": (Annotated[Path | None, _option("--token-file", _KEY_FILE)], None),
    "profile": (Annotated[str | None, _option("--profile", _PROFILE)], None),
    "as_json": (Annotated[bool, _option("--json", _JSON)], False),
}
"""By the name of the parameter: its annotation and its default. Accepted before and after a command."""

CHANGING: dict[str, tuple[Any, Any]] = {
    "reason": (Annotated[str | None, _option("--reason", _REASON)], None),
}
"""The same of commands that change something."""

_OF_THE_CLIENT = (
    *("registry", "inference", "monitor", "reason"),
    *("tls_ca", "tls_cert", "tls_key", "token_file"),
)
_OF_ANOTHER_PLACE = ("SERVICE_UNREACHABLE", "CREDENTIALS_MISSING")
"""Reasons of commands that went elsewhere, or as somebody else, than was meant."""


@dataclass(frozen=True, slots=True)
class Cli:
    """The values of the common options."""

    registry: str | None = None
    inference: str | None = None
    monitor: str | None = None
    timeout_seconds: float | None = None
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    token_file: Path | None = None
    profile: str | None = None
    as_json: bool = False
    reason: str | None = None

    def client(self) -> AsyncClient:
        """A client of the suite that the options name; whoever asks closes it."""
        import os

        from headrace.cli.key_files import warn_if_others_read
        from headrace.cli.profile_settings import with_profile
        from headrace.client import AsyncClient, read_client_settings

        settings = read_client_settings(
            None,
            **with_profile(self._given(), self.profile, os.environ),
            timeout_seconds=self.timeout_seconds,
            first_contact_seconds=FIRST_CONTACT_SECONDS,
        )
        if settings.token_file is not None and not self.as_json:
            warn_if_others_read(settings.token_file)
        return AsyncClient(settings=settings)

    def hint_at_profile(self, error: errors.HeadraceError) -> None:
        """Note, where a failed command passed the profile in use over, how to take it."""
        import os

        from headrace.cli.profile_settings import passed_over

        if error.reason in _OF_ANOTHER_PLACE and (
            name := passed_over(self._given(), self.profile, os.environ)
        ):
            error.add_note(
                f"the profile {name} was passed over, as an option or the environment says where to call "
                f"or with which key; --profile {name} takes it"
            )

    def _given(self) -> dict[str, str | Path | None]:
        return {name: getattr(self, name) for name in _OF_THE_CLIENT}

    def show(self, value: object, human: Callable[[], Any]) -> None:
        """Print a value as JSON if asked to, else what `human()` makes of it (or a list of such)."""
        output.show(value, as_json=self.as_json, human=human)


Function = Callable[..., Awaitable[None]]


def command(
    app: typer.Typer, name: str, *, changes: bool = False
) -> Callable[[Function], Function]:
    """Add a coroutine function to the command line; its parameters after `cli` are its own options.

    One that changes something takes a reason, too.
    """
    options = {**CHANGING, **COMMON} if changes else COMMON

    def add(function: Function) -> Function:
        app.command(name)(_with_common_options(function, options))
        return function

    return add


def default_command(app: typer.Typer) -> Callable[[Function], Function]:
    """Add what a group of commands does where none of them is named."""

    def add(function: Function) -> Function:
        run = _with_common_options(function, COMMON)

        @functools.wraps(run)
        def unless_one_is_named(ctx: typer.Context, **given: Any) -> None:
            if ctx.invoked_subcommand is None:
                run(ctx, **given)
            else:
                common = {name: given[name] for name in COMMON if given[name]}
                ctx.obj = {**(ctx.obj or {}), **common}

        app.callback(invoke_without_command=True)(unless_one_is_named)
        return function

    return add


def _with_common_options(
    function: Function, options: Mapping[str, tuple[Any, Any]]
) -> Callable[..., None]:
    @functools.wraps(function)
    def run(ctx: typer.Context, **given: Any) -> None:
        before = ctx.obj or {}
        common: dict[str, Any] = {name: given.pop(name) or before.get(name) for name in options}
        cli = Cli(**common | {"as_json": bool(common["as_json"])})
        import asyncio

        with output.quiet_when_nobody_reads():
            asyncio.run(_coroutine(function, cli, given))

    common = [_parameter(name, *parts) for name, parts in options.items()]
    parameters = [_parameter("ctx", typer.Context), *_own(function), *common]
    signature = inspect.Signature(parameters)
    run.__signature__ = signature  # type: ignore[attr-defined]  # functions have it; typeshed does not
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


async def _coroutine(function: Function, cli: Cli, given: dict[str, Any]) -> None:
    try:
        await function(cli, **given)
    except errors.HeadraceError as error:
        cli.hint_at_profile(error)
        raise


def _own(function: Function) -> list[inspect.Parameter]:
    hints = typing.get_type_hints(function, include_extras=True)
    _, *own = inspect.signature(function).parameters.values()
    return [_parameter(own.name, hints[own.name], own.default) for own in own]


def common_parameters() -> list[inspect.Parameter]:
    """The common options as parameters of a function."""
    return [_parameter(name, *parts) for name, parts in COMMON.items()]


def _parameter(
    name: str, annotation: Any, default: Any = inspect.Parameter.empty
) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )
