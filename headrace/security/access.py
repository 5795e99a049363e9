"""Makes identities of credentials and decides what they may do. Every process has one `Access`.

Both are remembered: a call whose token and model were seen before costs two look-ups. A changed set of
keys or another policy forgets all of it at once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from headrace import errors
from headrace.security.api_keys import PREFIX, ApiKey, digest_of, id_of
from headrace.security.credentials import (
    GATEWAY_SOCKET,
    Credentials,
    PeerCertificate,
    credentials_of,
)
from headrace.security.header_keys import NO_HEADER_KEYS
from headrace.security.identities import NOBODY, Identity, Proof
from headrace.security.policy import NO_POLICY, Policy
from headrace.security.refusals import again, denied, not_authenticated, rights_unknown
from headrace.security.verbs import Permission, Scope, Verb
from headrace.security.verifiers import CertificateNames, NoCertificates, NoTokens, TokenVerifier

MAX_TOKENS = 10_000
"""Tokens whose identities are remembered: 1 KB each, with long ones."""

MAX_REFUSED = 4096
REFUSED_SECONDS = 10.0
"""So long a token that was refused is refused unseen: verifying a signature takes 0.1 ms."""

_DAY_SECONDS = 86_400.0
_MAX_TOKEN_BYTES = 32 * 1024

_OF_SOMEBODY = (Scope.KNOWN, Scope.CONTENT, Scope.FILTERED)

Metadata = Iterable[tuple[str, str | bytes]]
Now = Callable[[], float]
"""Seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Rights:
    """All that decides at one moment: the keys by their digests, and the policy."""

    keys: Mapping[str, ApiKey] = field(default_factory=dict)
    policy: Policy = NO_POLICY


@dataclass(slots=True)
class _Memory:
    """What is remembered of one state of affairs; another state has another memory."""

    rights: Rights
    identities: dict[str, tuple[Identity, float]] = field(default_factory=dict)
    """By the value of `authorization`, with the time until which it holds."""
    refused: dict[int, tuple[float, errors.HeadraceError]] = field(default_factory=dict)


class Access:
    """Decides who calls, and whether he may. Safe to use from several threads.

    With `is_on` false everybody may do everything, and is who he says.
    """

    def __init__(
        self,
        *,
        is_on: bool = True,
        tokens: TokenVerifier | None = None,
        certificates: CertificateNames | None = None,
        now: Now = time.time,
    ) -> None:
        self.is_on = is_on
        self.tokens: TokenVerifier = tokens or NoTokens()
        self.certificates: CertificateNames = certificates or NoCertificates()
        self.header_keys = NO_HEADER_KEYS
        """Keys in headers of their own; whoever sets them calls `forget`."""
        self.generation = 0
        """Another number after every change of what decides: what others remember is void then."""
        self.used_keys: dict[str, int] = {}
        """The day (since the epoch, UTC) on which a key was last used here, by its id."""
        self.now = now
        self._memory = _Memory(Rights())
        self._changing = threading.Lock()
        self.has_rights = False
        """Whether keys and policy were learnt; before, nobody is told that his key is not one."""
        self.has_rights_file = False
        """Whether they are those of a rights file."""

    @property
    def rights(self) -> Rights:
        """The keys and the policy of now."""
        return self._memory.rights

    @rights.setter
    def rights(self, rights: Rights) -> None:
        with self._changing:
            self.has_rights = True
            self._begin(rights)

    def forget(self) -> None:
        """Verify everything anew: issuers or certificates have changed."""
        with self._changing:  # rights that another thread sets meanwhile must not be lost
            self._begin(self._memory.rights)

    def _begin(self, rights: Rights) -> None:
        self._memory = _Memory(rights)
        self.generation += 1

    @staticmethod
    def is_slow(authorization: str) -> bool:
        """Return whether `identify` may take milliseconds for this value: not for keys."""
        return authorization.count(".") >= 2  # a JWT has three parts

    def takes_long(self, authorization: str) -> bool:
        """Return whether `identify` may take milliseconds: where the value is slow, and not known.

        Raises Unauthenticated where the value was refused just now.
        """
        return self.is_slow(authorization) and self.known(authorization) is None

    def known(self, authorization: str) -> Identity | None:
        """Return whose this value is if that can be told at once; None where `identify` has to.

        It takes less than a microsecond. Raises Unauthenticated where the value was refused just now.
        """
        memory = self._memory
        found = memory.identities.get(authorization)
        now = self.now()
        if found is not None and found[1] > now:
            return found[0]
        if not authorization:
            return NOBODY
        refused = memory.refused.get(hash(authorization))
        if refused is not None and refused[0] > now:
            raise again(refused[1])
        return None

    def identify(self, credentials: Credentials) -> Identity:
        """Return who calls; nobody in particular where he brings nothing.

        The first call with a JWT verifies it, which may take milliseconds. Raises Unauthenticated where
        what he brings proves nothing, or two identities.
        """
        if not self.is_on:
            return NOBODY
        certified = self._certified(credentials)
        if not credentials.authorization:
            return certified or self._of_header_keys(credentials) or NOBODY
        bearer = self._of_authorization(credentials)
        if certified is not None and certified.subject != bearer.subject:
            raise errors.Unauthenticated(
                "CREDENTIALS_CONFLICT",
                f"the certificate is of {certified.subject} and the token of another; bring one of them",
            )
        return bearer

    def _of_header_keys(self, credentials: Credentials) -> Identity | None:
        return self.header_keys.identity_of(credentials.header_keys)

    def credentials_of(
        self, metadata: Metadata, certificate: PeerCertificate | None = None
    ) -> Credentials:
        """Return what a call's metadata, or a request's headers in lower case, bring that counts here."""
        return credentials_of(metadata, certificate, self.header_keys.headers)

    def _of_authorization(self, credentials: Credentials) -> Identity:
        authorization = credentials.authorization
        found = self.known(authorization)
        if found is not None:
            return found
        memory = self._memory
        try:
            identity = self._verified(memory.rights, credentials.bearer)
        except errors.Unauthenticated as error:
            if len(memory.refused) >= MAX_REFUSED:
                memory.refused.clear()
            memory.refused[hash(authorization)] = (self.now() + REFUSED_SECONDS, again(error))
            raise
        now = self.now()
        end_of_day = (now // _DAY_SECONDS + 1) * _DAY_SECONDS  # a key's use is noted every day
        if len(memory.identities) >= MAX_TOKENS:
            memory.identities.clear()
        memory.identities[authorization] = (identity, min(identity.expires_at, end_of_day))
        return identity

    def _verified(self, rights: Rights, bearer: str) -> Identity:
        if not bearer:
            raise errors.Unauthenticated(
                "CREDENTIALS_MALFORMED",
                "the header authorization has another form than 'Bearer TOKEN', once",
            )
        if len(bearer) > _MAX_TOKEN_BYTES:
            raise errors.Unauthenticated(
                "CREDENTIALS_MALFORMED", f"the token is longer than {_MAX_TOKEN_BYTES} bytes"
            )
        if bearer.startswith(PREFIX):
            return self._of_key(rights, bearer)
        if bearer.count(".") == 2:  # a JWT has three parts
            return self.tokens.verify(bearer)
        raise errors.Unauthenticated(
            "CREDENTIALS_MALFORMED",
            f"the token is neither an API key ({PREFIX}…) nor a JWT",
        )

    def _of_key(self, rights: Rights, bearer: str) -> Identity:
        if not id_of(bearer):
            raise errors.Unauthenticated(
                "API_KEY_INVALID",
                "the API key is not whole: a character is wrong or missing; copy it anew",
            )
        key = rights.keys.get(digest_of(bearer))
        now = self.now()
        if key is None and not self.has_rights:
            raise rights_unknown()
        if key is None or key.is_disabled:
            raise errors.Unauthenticated(
                "API_KEY_INVALID",
                f"there is no API key {id_of(bearer)} any more, or there never was; ask for a new one",
            )
        if key.expires_at <= now:
            raise errors.Unauthenticated(
                "API_KEY_EXPIRED", f"the API key {key.id} has expired; ask for a new one"
            )
        self.used_keys[key.id] = int(now // _DAY_SECONDS)
        return Identity(key.subject, Proof.API_KEY, key.id, (), key.expires_at)

    def is_gateway(self, certificate: PeerCertificate | None) -> bool:
        """Return whether what comes with this certificate is a gateway's word about others."""
        return certificate is GATEWAY_SOCKET or (
            certificate is not None and self.certificates.is_gateway(certificate)
        )

    def _certified(self, credentials: Credentials) -> Identity | None:
        certificate = credentials.certificate
        if self.is_gateway(certificate):
            told = credentials.forwarded
            certificate = self.certificates.forwarded(told) if told else None
        if certificate is None or certificate.expires_at <= self.now():
            return None
        return self.certificates.identity_of(certificate)

    def may(self, identity: Identity, verb: Verb, model: str) -> bool:
        """Return whether this caller may do this with the model; with '' for it, with all models."""
        if not self.is_on:
            return True
        policy = self._memory.rights.policy
        if not model:
            return policy.may_everywhere(identity, verb)
        return policy.may(identity, verb, model)

    def models_for(self, identity: Identity, verb: Verb = Verb.READ) -> Callable[[str], bool]:
        """Return what tells the models that a caller may do this with, to filter a list by."""
        return self.rights.policy.models_for(identity, verb) if self.is_on else _any_model

    def check(self, identity: Identity, permission: Permission, models: Iterable[str] = ()) -> None:
        """Let a call pass. Raises Unauthenticated where nobody calls, PermissionDenied where he may not.

        What is asked for may be unknown as well as forbidden: the answer is the same.
        """
        if not self.is_on or permission.scope is Scope.OPEN:
            return
        named = [model for model in models if model]
        for model in self._asked(permission.scope, named):
            if not self.may(identity, permission.verb, model):
                raise self.denied(identity, permission.verb, model)
        if not named and permission.scope in _OF_SOMEBODY and not identity.is_known:
            anybody = permission.scope is not Scope.KNOWN and self.rights.policy.may_somewhere(
                identity, permission.verb
            )
            if not anybody:
                raise not_authenticated()

    def denied(self, identity: Identity, verb: Verb, model: str) -> errors.HeadraceError:
        """Say that a caller may not, with what grants it here, or that this is not known yet."""
        if not self.has_rights:
            return rights_unknown()
        return denied(identity, verb, model, by_file=self.has_rights_file)

    @staticmethod
    def _asked(scope: Scope, named: list[str]) -> Iterable[str]:
        if scope is Scope.MODEL:
            return named or [""]
        if scope is Scope.EVERYTHING:
            return [""]
        return named


def _any_model(_: str) -> bool:
    return True


OPEN_ACCESS = Access(is_on=False)
"""Everybody may do everything."""
