"""Chooses the profile whose settings a command takes, beside its options and the environment."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from headrace import profiles

_WHERE = ("registry", "inference", "monitor", "tls_ca", "tls_cert", "tls_key", "token_file")


def with_profile(
    given: Mapping[str, str | Path | None], name: str | None, environ: Mapping[str, str]
) -> dict[str, str | Path | None]:
    """The settings of the client that the options give, and those of the profile that is meant.

    A profile that is named by `--profile` counts for more than the environment, one of HEADRACE_PROFILE or
    the current one for less. The current one is passed over where anything else says where to call or who
    calls: its key is for its own suite. Raises NotFound, InvalidArgument.
    """
    chosen = name or environ.get(profiles.VARIABLE, "")
    if not chosen and _is_said(given, environ):
        return dict(given)
    found = profiles.read(profiles.folder(environ))
    chosen = chosen or found.current
    if not chosen:
        return dict(given)
    held = profiles.find(found, chosen).settings()
    settings: dict[str, str | Path | None] = dict(given)
    for key, value in held.items():
        if settings.get(key) is None and (name or not _in(environ, key)):
            settings[key] = value
    return settings


def _is_said(given: Mapping[str, str | Path | None], environ: Mapping[str, str]) -> bool:
    return any(given.get(key) is not None or _in(environ, key) for key in _WHERE)


def _in(environ: Mapping[str, str], key: str) -> bool:
    return any(
        environ.get(f"HEADRACE_{prefix}{key.upper()}") is not None for prefix in ("", "CLIENT_")
    )
