"""Silences: alerts that nobody is told of, until a time."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from headrace import errors
from headrace_monitor.domain.alerts.alerts import Alert
from headrace_monitor.domain.telemetry.report import NANOSECONDS

MAX_SILENCES = 500
MAX_DAYS = 90
MAX_COMMENT = 1000
_MAX_PATTERN = 200


@dataclass(frozen=True, slots=True)
class Silence:
    """Which alerts, until when, by whom and why. What is '' or 0 does not matter."""

    id: str
    end_ns: int
    comment: str
    creator: str
    create_ns: int
    model: str = ""
    rule: str = ""
    version: int = 0
    replica: str = ""

    def fits(self, alert: Alert) -> bool:
        """Return whether nobody is to be told of the alert, as far as the time goes."""
        subject = alert.subject
        return (
            _fits(self.model, subject.model)
            and _fits(self.rule, alert.rule)
            and self.version in (0, subject.version)
            and _fits(self.replica, subject.replica)
        )


def require_valid(silence: Silence, now_ns: int) -> None:
    """Raises InvalidArgument (SILENCE_INVALID) for one that has no end, fits everything, or no reason."""
    problems = []
    patterns = (silence.model, silence.rule, silence.replica)
    if not any(patterns):
        problems.append("name a model, a rule or a replica: all alerts cannot be silenced at once")
    if any(len(pattern) > _MAX_PATTERN for pattern in patterns):
        problems.append(f"a pattern has at most {_MAX_PATTERN} characters")
    if silence.version and not silence.model:
        problems.append("a version goes with a model")
    if not 0 < silence.end_ns - now_ns <= MAX_DAYS * 86_400 * NANOSECONDS:
        problems.append(f"it has to end within {MAX_DAYS} days from now")
    if not 0 < len(silence.comment.strip()) <= MAX_COMMENT:
        problems.append(f"say why, in up to {MAX_COMMENT} characters")
    if problems:
        raise errors.InvalidArgument(
            "SILENCE_INVALID", f"the silence is not valid: {'; '.join(problems)}"
        )


def _fits(pattern: str, text: str) -> bool:
    return not pattern or fnmatchcase(text, pattern)
