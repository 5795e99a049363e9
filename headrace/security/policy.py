"""The policy: roles over patterns of models' names, granted to subjects. What nothing allows is denied.

There are no rules that deny: whoever wants to know why a caller may do something finds one grant that says
so. Versions and aliases are of their model.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from headrace.security.identities import Identity
from headrace.security.model_names import MAX_NAME
from headrace.security.verbs import Verb

ALL_MODELS = "*"
MAX_DECISIONS = 16_384
"""Decisions that are remembered; callers choose the names that they ask for, so there may be no end."""

_PATTERN = re.compile(r"[a-zA-Z0-9*][a-zA-Z0-9._*-]{0,127}")


@dataclass(frozen=True, slots=True)
class Rule:
    """Verbs, for the models whose names fit one of the patterns (`*` stands for any text)."""

    verbs: frozenset[Verb]
    models: tuple[str, ...] = (ALL_MODELS,)


@dataclass(frozen=True, slots=True)
class Role:
    """A name for rules."""

    name: str
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Grant:
    """A role that a subject has, for the models that fit one of the patterns and the role's own."""

    role: str
    models: tuple[str, ...] = (ALL_MODELS,)


@dataclass(frozen=True, slots=True)
class CallLimits:
    """The most that a subject may ask of one replica; 0: no limit."""

    requests_per_second: float = 0.0
    rows_per_second: float = 0.0
    in_flight: int = 0


NO_LIMITS = CallLimits()


@dataclass(frozen=True, slots=True)
class Binding:
    """What a subject has."""

    grants: tuple[Grant, ...] = ()
    limits: CallLimits = NO_LIMITS


def _role(name: str, *verbs: Verb) -> Role:
    return Role(name, (Rule(frozenset(verbs)),))


BUILT_IN_ROLES: Mapping[str, Role] = {
    role.name: role
    for role in (
        _role("viewer", Verb.READ),
        _role("caller", Verb.INFER, Verb.READ),
        _role("labeller", Verb.LABEL, Verb.READ),
        _role("publisher", Verb.READ, Verb.PUSH),
        _role("operator", Verb.READ, Verb.INFER, Verb.ROUTE, Verb.LABEL),
        _role("owner", Verb.READ, Verb.INFER, Verb.PUSH, Verb.ROUTE, Verb.LABEL, Verb.DELETE),
        _role("admin", *(verb for verb in Verb if verb is not Verb.SERVICE)),
        _role("service", Verb.SERVICE, Verb.READ),
    )
}
"""The roles that there always are. Their names cannot be given to others."""


@dataclass(frozen=True, slots=True)
class _Granted:
    """A verb's reach: pairs of patterns, both of which a model's name has to fit."""

    pairs: tuple[tuple[re.Pattern[str], re.Pattern[str]], ...] = ()
    everywhere: bool = False

    def covers(self, model: str) -> bool:
        return self.everywhere or any(
            first.fullmatch(model) and second.fullmatch(model) for first, second in self.pairs
        )


@dataclass(eq=False, slots=True)
class Policy:
    """Decides. One object is one state of affairs: another policy is another object."""

    roles: Mapping[str, Role] = field(default_factory=dict)
    bindings: Mapping[str, Binding] = field(default_factory=dict)
    _decisions: dict[tuple[tuple[str, ...], Verb, str], bool] = field(default_factory=dict)
    _reaches: dict[tuple[tuple[str, ...], Verb], _Granted] = field(default_factory=dict)

    def may(self, identity: Identity, verb: Verb, model: str) -> bool:
        """Return whether it may do this with the model."""
        if len(model) > MAX_NAME:  # no model has it: it is looked at by no pattern, and not kept
            return self.may_everywhere(identity, verb)
        key = (identity.subjects, verb, model)
        decided = self._decisions.get(key)
        if decided is None:
            decided = self._reach(identity.subjects, verb).covers(model)
            if len(self._decisions) >= MAX_DECISIONS:
                self._decisions.clear()
            self._decisions[key] = decided
        return decided

    def may_everywhere(self, identity: Identity, verb: Verb) -> bool:
        """Return whether it may do this with all models, also those to come."""
        return self._reach(identity.subjects, verb).everywhere

    def may_somewhere(self, identity: Identity, verb: Verb) -> bool:
        """Return whether it may do this with any model."""
        reach = self._reach(identity.subjects, verb)
        return reach.everywhere or bool(reach.pairs)

    def models_for(self, identity: Identity, verb: Verb) -> Callable[[str], bool]:
        """Return what tells the models that it may do this with; for lists, so nothing is remembered."""
        return self._reach(identity.subjects, verb).covers

    def limits_of(self, identity: Identity) -> CallLimits:
        """Return the limits of its subject itself, not of its groups."""
        binding = self.bindings.get(identity.subject)
        return NO_LIMITS if binding is None else binding.limits

    def _reach(self, subjects: tuple[str, ...], verb: Verb) -> _Granted:
        key = (subjects, verb)
        reach = self._reaches.get(key)
        if reach is None:
            if len(self._reaches) >= MAX_DECISIONS:
                self._reaches.clear()
            reach = self._reaches[key] = _granted(self._pairs(subjects, verb))
        return reach

    def _pairs(self, subjects: Iterable[str], verb: Verb) -> Iterator[tuple[str, str]]:
        for subject in subjects:
            for grant in self.bindings.get(subject, Binding()).grants:
                role = BUILT_IN_ROLES.get(grant.role) or self.roles.get(grant.role)
                for rule in role.rules if role else ():
                    if verb in rule.verbs:
                        yield from ((own, of) for own in grant.models for of in rule.models)


NO_POLICY = Policy()
"""Allows nothing."""


def _granted(pairs: Iterable[tuple[str, str]]) -> _Granted:
    found = tuple(dict.fromkeys(pairs))
    if (ALL_MODELS, ALL_MODELS) in found:
        return _Granted(everywhere=True)
    return _Granted(tuple((_compiled(own), _compiled(of)) for own, of in found))


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(pattern))


def is_pattern(text: str) -> bool:
    """Return whether a text is a pattern of models' names: letters, digits, '.', '_', '-' and '*'."""
    return _PATTERN.fullmatch(text) is not None
