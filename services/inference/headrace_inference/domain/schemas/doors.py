"""The doors of versions: each has what is enforced there at present, which may change while it serves."""

from __future__ import annotations

from headrace.state.desired import Key
from headrace_inference.domain.schemas.checks import SchemaChecks


class SchemaDoor:
    """The door of one version. `checks` is read once a run: None where nothing is enforced."""

    __slots__ = ("checks",)

    def __init__(self) -> None:
        self.checks: SchemaChecks | None = None


class SchemaDoors:
    """The doors of all versions of this replica, by model and number."""

    def __init__(self) -> None:
        self._doors: dict[Key, SchemaDoor] = {}

    def of(self, key: Key) -> SchemaDoor:
        """The door of a version, open until something is enforced there."""
        return self._doors.setdefault(key, SchemaDoor())

    def enforce(self, key: Key, checks: SchemaChecks | None) -> None:
        """Have this enforced from the next run on."""
        if checks is not None or key in self._doors:
            self.of(key).checks = checks
