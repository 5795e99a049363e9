"""Reads a gateway's settings from flags, the environment, and a file that may change while it runs."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path

from headrace import settings as reading
from headrace.gateway.settings import Settings

SERVICE = "gateway"
_FLAG = "--settings-file"
_VARIABLES = ("HEADRACE_GATEWAY_SETTINGS_FILE", "HEADRACE_SETTINGS_FILE")


def read_settings(argv: Sequence[str], environ: Mapping[str, str]) -> Settings:
    """The settings: flags, then the environment, then the file, then defaults. Raises SettingsError."""
    file = _file(argv, environ)
    told = _from_file(file) if file else {}
    return reading.read(Settings, SERVICE, argv, {**told, **environ})


def _file(argv: Sequence[str], environ: Mapping[str, str]) -> Path | None:
    for place, argument in enumerate(argv):
        if argument == _FLAG and place + 1 < len(argv):
            return Path(argv[place + 1])
        if argument.startswith(f"{_FLAG}="):
            return Path(argument.partition("=")[2])
    found = [environ[name] for name in _VARIABLES if environ.get(name)]
    return Path(found[0]) if found else None


def _from_file(file: Path) -> dict[str, str]:
    """The file's settings as variables of the environment."""
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise reading.SettingsError(f"{file} cannot be read as TOML: {error}") from error
    known = {field.name for field in fields(Settings)}
    strange = sorted(found.keys() - known)
    if strange:
        raise reading.SettingsError(f"{file}: {', '.join(strange)}: there is no such setting")
    return {f"HEADRACE_{name}".upper(): _text(value) for name, value in found.items()}


def _text(value: object) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
