"""The log settings that Triton's logging extension can change while the process runs."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from headrace.errors import InvalidArgument, Unimplemented

Value = bool | int | str
MAX_VERBOSE_LEVEL = 2**32 - 1

_AT_START = {
    "log_file": "start the replica with its standard error sent to a file",
    "log_format": "start the replica with --log-format",
}


class LogSwitches(logging.Filter):
    """A switch for each severity; debug records are those of a verbose level over 0.

    `installed` puts them before the process's handlers.
    """

    def __init__(self, level: str = "info") -> None:
        super().__init__()
        least = logging.getLevelNamesMapping()[level.upper()]
        self._verbose_level = int(least <= logging.DEBUG)
        self._switches = {
            logging.INFO: least <= logging.INFO,
            logging.WARNING: least <= logging.WARNING,
            logging.ERROR: True,
        }

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Let the switches decide while inside; then it is as it was before."""
        root = logging.getLogger()
        level, handlers = root.level, list(root.handlers)
        for handler in handlers:
            handler.addFilter(self)
        try:
            yield
        finally:
            for handler in handlers:
                handler.removeFilter(self)
            root.setLevel(level)

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record's severity is switched on."""
        for least in (logging.ERROR, logging.WARNING, logging.INFO):
            if record.levelno >= least:
                return self._switches[least]
        return self._verbose_level > 0

    def values(self) -> dict[str, Value]:
        """All settings by their names in the protocol."""
        return {
            "log_file": "",
            "log_info": self._switches[logging.INFO],
            "log_warning": self._switches[logging.WARNING],
            "log_error": self._switches[logging.ERROR],
            "log_verbose_level": self._verbose_level,
            "log_format": "default",
        }

    def update(self, changes: Mapping[str, Value | None]) -> None:
        """Change settings: all of them, or none.

        Raises InvalidArgument (SETTING_INVALID), or Unimplemented (SETTING_READ_ONLY).
        """
        before = self.values()
        for key, value in changes.items():
            _check(key, value, before)
        for key, severity in _SEVERITIES.items():
            if key in changes:
                self._switches[severity] = bool(changes[key])
        self._verbose_level = int(changes.get("log_verbose_level", self._verbose_level) or 0)
        logging.getLogger().setLevel(self._least())

    def _least(self) -> int:
        if self._verbose_level:
            return logging.DEBUG
        on = [severity for severity, switch in self._switches.items() if switch]
        return min(on, default=logging.CRITICAL + 1)


_SEVERITIES = {
    "log_info": logging.INFO,
    "log_warning": logging.WARNING,
    "log_error": logging.ERROR,
}


def _check(key: str, value: Value | None, before: Mapping[str, Value]) -> None:
    if key not in before:
        raise _invalid(key, f"the settings of logs are {', '.join(before)}")
    if key in _AT_START:
        if value != before[key]:
            what = "log file location" if key == "log_file" else "log format"
            raise Unimplemented(
                "SETTING_READ_ONLY",
                f"{what} can not be updated through network protocol; {_AT_START[key]}",
                facts={"setting": key},
            )
    elif key in _SEVERITIES:
        if not isinstance(value, bool):
            raise _invalid(key, "a bool is expected")
    elif (
        isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_VERBOSE_LEVEL
    ):
        raise _invalid(key, f"a number from 0 to {MAX_VERBOSE_LEVEL} is expected")


def _invalid(key: str, what: str) -> InvalidArgument:
    return InvalidArgument(
        "SETTING_INVALID", f"invalid value for setting '{key}': {what}", facts={"setting": key}
    )
