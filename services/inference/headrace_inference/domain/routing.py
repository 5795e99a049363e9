"""Which version answers a request: every name that can be asked for, resolved beforehand.

A table is built whenever the catalog or the set of ready versions moves, and swapped in one assignment;
a request is answered by the table before or the table after, never by a mixture.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from headrace.errors import HeadraceError, InvalidArgument, NotFound, Unavailable
from headrace.state.records import UNREAD, Canary, Catalog, LoadState, ModelRecord
from headrace_inference.domain.canary_share import CanaryShare
from headrace_inference.domain.served import ServedVersion
from headrace_inference.domain.version_identity import is_other, record_in

Ready = Mapping[tuple[str, int], ServedVersion]
States = Mapping[tuple[str, int], tuple[LoadState, str]]
Shares = Mapping[tuple[str, int], CanaryShare]

STABLE, CANARY, PINNED, ALIAS, HELD = "stable", "canary", "pinned", "alias", "held"
"""Why a version answered: it is stable, on trial, asked for by number or by alias; or it is what a name
led to before, held while the successor is not ready here."""

NOT_READY = "VERSION_NOT_READY"
"""The reason of a version that is known and cannot be called here."""

RETRY_AFTER_SECONDS = 1.0
_MAX_DIGITS = 18
"""Python refuses to read numbers of thousands of digits."""


Picked = tuple[ServedVersion, str]
"""The version that answers a request, and why."""


class Target(Protocol):
    """What a name leads to."""

    @property
    def served(self) -> ServedVersion:
        """The version that questions about the name are about: stable, where there is a choice."""

    def pick(self) -> Picked:
        """Where this request goes; once for each request, since it takes a turn."""

    def pick_again(self, reason: str) -> Picked:
        """Where a request goes that was picked for this reason and found its version gone: no new turn."""

    def give_back(self, reason: str) -> None:
        """A request that was picked for this reason was refused for what it is: it takes no turn."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """Always the same version."""

    served: ServedVersion
    reason: str

    def pick(self) -> Picked:
        """The version."""
        return self.served, self.reason

    def pick_again(self, reason: str) -> Picked:  # noqa: ARG002  # there are no turns
        """The version."""
        return self.served, self.reason

    def give_back(self, reason: str) -> None:
        """There are no turns."""


@dataclass(frozen=True, slots=True)
class Split:
    """A stable version, and a canary that gets a share of the requests."""

    stable: Fixed
    canary: ServedVersion
    weight_percent: float
    share: CanaryShare

    @property
    def served(self) -> ServedVersion:
        """The stable version."""
        return self.stable.served

    def pick(self) -> Picked:
        """Stable, or the canary where its share is due."""
        if self.share.take_turn(self.weight_percent):
            return self.canary, CANARY
        return self.stable.pick()

    def pick_again(self, reason: str) -> Picked:
        """The canary if it was the canary's turn, else stable."""
        return (self.canary, CANARY) if reason == CANARY else self.stable.pick()

    def give_back(self, reason: str) -> None:
        """Give the turn back, unless the other version might have taken the request.

        A canary that refuses what stable takes would be next again, and again.
        """
        if _check_alike(self.stable.served, self.canary):
            self.share.give_back(self.weight_percent, to_canary=reason == CANARY)


def _check_alike(one: ServedVersion, other: ServedVersion) -> bool:
    """Whether two versions refuse the same requests."""
    first, second = one.record, other.record
    if first.signature != second.signature:
        return False
    ours, theirs = first.config.batching, second.config.batching
    return (ours.max_batch_size, ours.allow_larger_requests) == (
        theirs.max_batch_size,
        theirs.allow_larger_requests,
    )


@dataclass(frozen=True, slots=True)
class RoutingTable:
    """All names that can be asked for, as (model_name, model_version) of a request.

    `effective` is the version that answers, by (model, alias) or (model, '') for the route's stable: what
    the shared state names once it is ready here, and what it named before until then.
    """

    targets: Mapping[tuple[str, str], Target] = field(default_factory=dict)
    effective: Mapping[tuple[str, str], int] = field(default_factory=dict)
    catalog: Catalog = UNREAD
    states: States = field(default_factory=dict)
    ready: Ready = field(default_factory=dict)
    shares: Shares = field(default_factory=dict)
    """What canaries are owed, by model and version: it outlives this table."""

    def pick(self, model_name: str, version: str) -> Picked:
        """The version that answers a request for these names, and why. Takes a turn.

        Raises NotFound or InvalidArgument for names that lead nowhere, Unavailable for a version that
        this replica cannot serve at present.
        """
        return self.target(model_name, version).pick()

    def target(self, model_name: str, version: str) -> Target:
        """What these names lead to; it stays true as long as this table is the present one."""
        target = self.targets.get((model_name, version))
        if target is None:
            raise self.explain(model_name, version)
        return target

    def find(self, model_name: str, version: str) -> ServedVersion:
        """The version that these names are about. Raises as `pick` does."""
        return self.target(model_name, version).served

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
        """Why these names lead to nothing."""
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


def build_table(
    catalog: Catalog, ready: Ready, states: States, former: RoutingTable
) -> RoutingTable:
    """The table that follows `former`, for a catalog and the versions that are ready.

    Only the names of models that changed since, or whose ready versions did, are resolved anew.
    """
    touched = catalog.models_differing(former.catalog) | _moved(ready, former.ready)
    shares = {key: share for key, share in former.shares.items() if key[0] not in touched}
    targets = {
        name: target for name, target in former.targets.items() if _model_of(name) not in touched
    }
    effective = {
        name: number for name, number in former.effective.items() if name[0] not in touched
    }
    for name in touched:
        if (model := catalog.models.get(name)) is not None:
            shares |= _shares(model, catalog, former)
            _resolve(model, ready, former, shares, targets, effective)
    for (name, number), served in ready.items():
        if name in touched and (name, number) in catalog.versions:
            targets[name, str(number)] = Fixed(served, PINNED)
    return RoutingTable(targets, effective, catalog, states, ready, shares)


def _moved(ready: Ready, before: Ready) -> set[str]:
    """The models of which a version became ready, was exchanged, or is ready no more."""
    came = {key[0] for key, served in ready.items() if before.get(key) is not served}
    return came | {key[0] for key in before if key not in ready}


def _model_of(name: tuple[str, str]) -> str:
    return name[0].partition("@")[0]


def _resolve(
    model: ModelRecord,
    ready: Ready,
    former: RoutingTable,
    shares: Shares,
    targets: dict[tuple[str, str], Target],
    effective: dict[tuple[str, str], int],
) -> None:
    """Put in what the names of a model lead to: its own, and those of its aliases."""
    for name, fixed in _named(model, ready, former.effective):
        effective[model.name, name] = fixed.served.record.number
        if name:
            targets[model.name, name] = fixed
            targets[f"{model.name}@{name}", ""] = fixed
        else:
            targets[model.name, ""] = _routed(model, ready, fixed, shares)


def _shares(
    model: ModelRecord, catalog: Catalog, former: RoutingTable
) -> dict[tuple[str, int], CanaryShare]:
    """What a model's canary is owed: as before, also while it is not ready."""
    if model.route is None or model.route.canary is None:
        return {}
    key = (model.name, model.route.canary.version)
    return {key: _share(key, catalog, former)}


def _share(key: tuple[str, int], catalog: Catalog, former: RoutingTable) -> CanaryShare:
    """The canary's own, or a new one where its number was another version's."""
    share, before = former.shares.get(key), record_in(former.catalog, key)
    changed = before is not None and is_other(before, key, catalog)
    return CanaryShare() if share is None or changed else share


def _named(
    model: ModelRecord, ready: Ready, former: Mapping[tuple[str, str], int]
) -> Iterator[tuple[str, Fixed]]:
    """What each alias, and '' for the route, leads to, where it leads anywhere."""
    wanted = {alias: (ALIAS, [record.version]) for alias, record in model.aliases.items()}
    if model.route is not None:
        numbers = [model.route.stable]
        if model.route.previous is not None:
            numbers.append(model.route.previous)
        wanted[""] = (STABLE, numbers)
    for name, (reason, numbers) in wanted.items():
        before = former.get((model.name, name))
        candidates = numbers[:1] + ([] if before is None else [before]) + numbers[1:]
        for number in candidates:
            if (served := ready.get((model.name, number))) is not None:
                yield name, Fixed(served, reason if number == numbers[0] else HELD)
                break


def _routed(model: ModelRecord, ready: Ready, stable: Fixed, shares: Shares) -> Target:
    canary: Canary | None = model.route.canary if model.route else None
    served = ready.get((model.name, canary.version)) if canary else None
    if canary is None or served is None:
        return stable
    share = shares[model.name, canary.version]
    return Split(stable, served, canary.weight_percent, share)


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


def state_unread(catalog: Catalog) -> HeadraceError:
    """What a request for a name gets that nobody can say exists or not."""
    why = f": {catalog.unread_because}" if catalog.unread_because else "; retry"
    return Unavailable(
        "STATE_UNAVAILABLE",
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
