"""Profiles of the command line: where a suite is and what proves who calls it, by a name.

They are in `profiles.toml` in the folder of a user's settings, 0600; a key that was typed in lies in a
file of its own below it, 0600, too.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from headrace import errors

FILE = "profiles.toml"
VARIABLE = "HEADRACE_PROFILE"
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,62}")


@dataclass(frozen=True, slots=True)
class Profile:
    """What the client's settings of these names are, '' where they are the usual ones."""

    registry: str = ""
    inference: str = ""
    monitor: str = ""
    tls_ca: str = ""
    tls_cert: str = ""
    tls_key: str = ""
    token_file: str = ""

    def settings(self) -> dict[str, str]:
        """Those that it has."""
        return {name: value for name, value in asdict(self).items() if value}


@dataclass(frozen=True, slots=True)
class Profiles:
    """All profiles by name, and the one that is used where none is named ('': none)."""

    named: Mapping[str, Profile] = field(default_factory=dict)
    current: str = ""


def folder(environ: Mapping[str, str]) -> Path:
    """The folder of the user's settings."""
    base = environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "headrace"


def check_name(name: str) -> str:
    """The name, if a profile may have it. Raises InvalidArgument (PROFILE_INVALID)."""
    if not _NAME.fullmatch(name):
        raise errors.InvalidArgument(
            "PROFILE_INVALID",
            f"{name[:80]!r} is not a valid name of a profile: use 1 to 63 letters, digits, '_' or '-'",
        )
    return name


def read(where: Path) -> Profiles:
    """The profiles in a folder; none where there is no file. Raises InvalidArgument (PROFILE_INVALID)."""
    file = where / FILE
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8"))
        known = {each.name for each in fields(Profile)}
        named = {
            str(name): Profile(**{key: str(text) for key, text in held.items() if key in known})
            for name, held in found.get("profiles", {}).items()
        }
        return Profiles(named, str(found.get("current", "")))
    except FileNotFoundError:
        return Profiles()
    except (OSError, ValueError, AttributeError) as error:
        raise errors.InvalidArgument(
            "PROFILE_INVALID",
            f"{file} cannot be read ({error}): mend it, or delete it and log in again",
        ) from error


def find(profiles: Profiles, name: str) -> Profile:
    """The profile of this name. Raises NotFound (PROFILE_NOT_FOUND)."""
    if name not in profiles.named:
        there = ", ".join(profiles.named) or "none"
        raise errors.NotFound(
            "PROFILE_NOT_FOUND",
            f"there is no profile {name!r}; there are: {there}; `headrace login --name {name}` makes one",
            facts={"profile": name},
        )
    return profiles.named[name]


def write(where: Path, profiles: Profiles) -> None:
    """Keep the profiles in a folder. Raises FailedPrecondition (PROFILE_NOT_KEPT)."""
    lines = [f"current = {_text(profiles.current)}"]
    for name, profile in profiles.named.items():
        lines += ["", f"[profiles.{name}]"]
        lines += [f"{key} = {_text(value)}" for key, value in profile.settings().items()]
    write_private(where / FILE, "\n".join(lines) + "\n")


def write_private(file: Path, text: str) -> None:
    """Replace a file, 0600, its folder 0700. Raises FailedPrecondition (PROFILE_NOT_KEPT)."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".", dir=file.parent)  # 0600
        with os.fdopen(handle, "w", encoding="utf-8") as opened:
            opened.write(text)
        Path(name).replace(file)
    except OSError as error:
        raise errors.FailedPrecondition(
            "PROFILE_NOT_KEPT", f"{file} cannot be written: {error.strerror or error}"
        ) from error


def _text(value: str) -> str:
    """A text as TOML has it: JSON's form, which is one of TOML's."""
    return json.dumps(value, ensure_ascii=True)
