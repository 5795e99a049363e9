"""Chooses the profile whose settings a command takes, beside its options and the environment."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from headrace import profiles
from headrace.client.settings import ClientSettings

_WHERE = ("registry", "inference", "monitor", "tls_ca", "tls_cert", "tls_key", "token_file")


def with_profile(
    given: Mapping[str, str | Path | None], name: str | None, environ: Mapping[str, str]
) -> dict[str, str | Path | None]:
    """The settings of the client that the options give, and those of the profile that is meant.

    A profile that is named, by `--profile` or else HEADRACE_PROFILE, counts for more than the environment,
    which says no address beside it: the profile's key would go there. The one in use is passed over where
    anything else says where to call or who calls. Raises NotFound, InvalidArgument.
    """
    chosen = name or environ.get(profiles.VARIABLE, "")
    if not chosen and _is_said(given, environ):
        return dict(given)
    found = profiles.read(profiles.folder(environ))
    chosen = chosen or found.current
    if not chosen:
        return dict(given)
    usual = ClientSettings()
    held = {name: getattr(usual, name) for name in usual.addresses()}
    held |= profiles.find(found, chosen).settings()
    settings: dict[str, str | Path | None] = dict(given)
    for key, value in held.items():
        if settings.get(key) is None:
            settings[key] = value
    return settings


def passed_over(
    given: Mapping[str, str | Path | None], name: str | None, environ: Mapping[str, str]
) -> str:
    """The name of the profile in use where options or the environment count instead of it, or ''."""
    if name or environ.get(profiles.VARIABLE, "") or not _is_said(given, environ):
        return ""
    return profiles.read(profiles.folder(environ)).current


def _is_said(given: Mapping[str, str | Path | None], environ: Mapping[str, str]) -> bool:
    return any(given.get(key) is not None or _in(environ, key) for key in _WHERE)


def _in(environ: Mapping[str, str], key: str) -> bool:
    return any(
        environ.get(f"HEADRACE_{prefix}{key.upper()}") is not None for prefix in ("", "CLIENT_")
    )
