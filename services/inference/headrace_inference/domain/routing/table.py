"""The routing table: every name that can be asked for, resolved beforehand.

A table is built whenever the catalog or the set of ready versions moves, and swapped in one assignment;
a request is answered by the table before or the table after, never by a mixture.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from headrace.errors import HeadraceError, InvalidArgument, NotFound, Unavailable
from headrace.state.catalog import UNREAD, Catalog
from headrace.state.outage import ACCESS_DENIED
from headrace.state.records import LoadState, ModelRecord, VersionRecord
from headrace_inference.domain.routing.model_names import (
    NO_NAMES,
    Key,
    ModelNames,
    Ready,
    StandsBy,
    never,
    resolve,
)
from headrace_inference.domain.routing.targets import (
    ALIAS,
    CANARY,
    HELD,
    PINNED,
    STABLE,
    Picked,
    SingleTarget,
    Target,
    WeightedTarget,
)
from headrace_inference.domain.versions.loaded_version import LoadedVersion

__all__ = [
    "ALIAS",
    "CANARY",
    "HELD",
    "PINNED",
    "STABLE",
    "Picked",
    "SingleTarget",
    "Target",
    "WeightedTarget",
]

States = Mapping[Key, tuple[LoadState, str]]

NOT_READY = "VERSION_NOT_READY"
"""The reason of a version that is known and cannot be called here."""

RETRY_AFTER_SECONDS = 1.0
_MAX_DIGITS = 18
"""Python refuses to read numbers of thousands of digits."""


@dataclass(frozen=True, slots=True)
class RoutingTable:
    """All names that can be asked for, of every model of which a version is ready.

    `stands_by` says of a version that is not ready that it is loaded when a request asks for it.
    """

    names: Mapping[str, ModelNames] = field(default_factory=dict)
    catalog: Catalog = UNREAD
    states: States = field(default_factory=dict)
    ready: Ready = field(default_factory=dict)
    stands_by: StandsBy = never
    shadowed: frozenset[str] = frozenset()
    """The models whose route has a shadow that is ready: mostly none, so nobody looks further."""

    def pick(self, model_name: str, version: str) -> Picked:
        """The version that answers a request for these names, and why. Takes a turn.

        Raises NotFound or InvalidArgument for names that lead nowhere, Unavailable for a version that
        this replica cannot serve at present.
        """
        return self.target(model_name, version).pick()

    def target(self, model_name: str, version: str) -> Target:
        """Return what these names lead to; it stays true as long as this table is the present one."""
        names = self.names.get(model_name) or self.names.get(model_name.partition("@")[0])
        target = names.targets.get((model_name, version)) if names else None
        if target is None:
            raise self.explain(model_name, version)
        return target

    def find(self, model_name: str, version: str) -> LoadedVersion:
        """The version that these names are about. Raises as `pick` does."""
        return self.target(model_name, version).served

    def record(self, model_name: str, version: str) -> VersionRecord:
        """The same of one that may stand by: nothing is loaded for a question."""
        try:
            return self.find(model_name, version).record
        except OnStandby as standing_by:
            return self.catalog.versions[standing_by.key]

    def callable_numbers(self, model: str) -> list[int]:
        """The versions of a model that are ready, or are loaded when a request asks for them."""
        keys = [(model, number) for number in self.catalog.numbers_of(model)]
        return [key[1] for key in keys if key in self.ready or self.stands_by(key)]

    def asked_for(self, model_name: str, version: str) -> tuple[str, int]:
        """The version of the catalog that these names lead to, ready or not, as model and number.

        Number 0: to none; model '': there is no such model.
        """
        model_part, _, alias = model_name.partition("@")
        model = self.catalog.models.get(model_part)
        if model is None:
            return "", 0
        number = _number(model, alias or version)
        known = number is not None and (model.name, number) in self.catalog.versions
        return model.name, number if known and number is not None else 0

    def explain(self, model_name: str, version: str) -> HeadraceError:
        """Return why these names lead to nothing."""
        model_part, separator, alias = model_name.partition("@")
        model = self.catalog.models.get(model_part)
        if model is None:
            return _unknown_model(model_part) if self.catalog.known else state_unread(self.catalog)
        if alias and version:
            return InvalidArgument(
                "VERSION_AMBIGUOUS",
                f"'{model_name}' names an alias and the request also names version '{version}'; "
                "use one of the two",
            )
        if separator and not alias:
            return _unknown_alias(model, alias)
        return self._explain_version(model, alias or version)

    def _explain_version(self, model: ModelRecord, wanted: str) -> HeadraceError:
        number = _number(model, wanted)
        if number is None:
            return _no_versions(model) if not wanted else _unknown_alias(model, wanted)
        key = (model.name, number)
        if (found := self._standing_by(model, wanted, key)) is not None:
            return OnStandby(found)
        if key not in self.catalog.versions:
            asked = wanted if _is_number(wanted) else number
            return NotFound(
                "VERSION_NOT_FOUND",
                f"Request for unknown model: '{model.name}' version {asked} is not found",
            )
        state, reason = self.states.get(key, (LoadState.UNAVAILABLE, "it is not loaded"))
        return Unavailable(
            NOT_READY,
            f"Request for unknown model: '{model.name}' version {number} is not at ready state: "
            f"{state.value}{': ' + reason if reason else ''}",
            facts={"state": state.value, "version": str(number)},
            retry_after_seconds=RETRY_AFTER_SECONDS,
        )

    def _standing_by(self, model: ModelRecord, wanted: str, key: Key) -> Key | None:
        """Return what is loaded for these names on request: what they name, or what was stable before."""
        if self.stands_by(key):
            return key
        previous = model.route.previous if model.route and not wanted else None
        if previous is not None and self.stands_by((model.name, previous)):
            return model.name, previous
        return None


def build_table(
    catalog: Catalog,
    ready: Ready,
    states: States,
    former: RoutingTable,
    stands_by: StandsBy = never,
    moved: Collection[str] | None = None,
) -> RoutingTable:
    """The table that follows `former`, for a catalog and the versions that are ready.

    Only the names of models that changed since are resolved anew, and of those that `moved`: whose versions
    became ready or no longer are. Without that word, it is found out.
    """
    touched = catalog.models_differing(former.catalog)
    touched |= _moved(ready, former.ready) if moved is None else set(moved)
    names = dict(former.names)
    for model in touched:
        before = former.names.get(model, NO_NAMES)
        resolved = resolve(model, (catalog, former.catalog), ready, before, stands_by)
        if resolved == NO_NAMES:
            names.pop(model, None)
        else:
            names[model] = resolved
    shadowed = (former.shadowed - touched) | {
        model for model in touched if _has_shadow(model, names)
    }
    return RoutingTable(names, catalog, states, ready, stands_by, shadowed)


def _has_shadow(model: str, names: Mapping[str, ModelNames]) -> bool:
    target = names[model].targets.get((model, "")) if model in names else None
    return target is not None and target.shadow is not None


def _moved(ready: Ready, before: Ready) -> set[str]:
    """The models of which a version became ready, was exchanged, or is ready no more."""
    came = {key[0] for key, served in ready.items() if before.get(key) is not served}
    return came | {key[0] for key in before if key not in ready}


def _is_number(wanted: str) -> bool:
    return wanted.isascii() and wanted.isdigit() and (wanted[0] != "0" or wanted == "0")


def _number(model: ModelRecord, wanted: str) -> int | None:
    if _is_number(wanted):
        return int(
            wanted[:_MAX_DIGITS]
        )  # no model has so many: cut, it is another that is not there
    if not wanted:
        return model.route.stable if model.route else None
    alias = model.aliases.get(wanted)
    return alias.version if alias else None


class OnStandby(Unavailable):
    """The version that a request asks for is loaded when a request does: now."""

    def __init__(self, key: Key) -> None:
        self.key = key
        super().__init__(
            NOT_READY,
            f"'{key[0]}' version {key[1]} is on standby: its next inference request has it loaded",
            facts={"state": LoadState.UNAVAILABLE.value, "version": str(key[1])},
            retry_after_seconds=RETRY_AFTER_SECONDS,
        )


def state_unread(catalog: Catalog) -> HeadraceError:
    """Return what a request for a name gets that nobody can say exists or not."""
    why = f": {catalog.unread_because}" if catalog.unread_because else "; retry"
    return Unavailable(
        ACCESS_DENIED if catalog.unread_denied else "STATE_UNAVAILABLE",
        f"this replica has not read the shared state yet and does not know the models{why}",
        retry_after_seconds=RETRY_AFTER_SECONDS,
    )


def _unknown_model(name: str) -> HeadraceError:
    return NotFound("MODEL_NOT_FOUND", f"Request for unknown model: '{name}' is not found")


def _no_versions(model: ModelRecord) -> HeadraceError:
    return NotFound(
        "NO_VERSIONS", f"Request for unknown model: '{model.name}' has no available versions"
    )


def _unknown_alias(model: ModelRecord, alias: str) -> HeadraceError:
    aliases = ", ".join(sorted(model.aliases)) or "none"
    if alias[:1].isalpha():
        return NotFound(
            "ALIAS_NOT_FOUND",
            f"Request for unknown model: '{model.name}' has no alias '{alias}'; its aliases are: {aliases}",
        )
    return InvalidArgument(
        "VERSION_INVALID",
        f"failed to get model version from specified version string '{alias}': "
        f"a number or an alias ({aliases}) is expected",
    )
