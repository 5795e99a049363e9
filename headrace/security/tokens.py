"""Verifies JWTs of the issuers that the identity file pins, by PyJWT.

Nothing in a token says how it is verified: the algorithms are those of the issuer's row and of the key, and
headers that name keys (`jku`, `x5u`, `jwk`) are not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeGuard

from headrace import errors
from headrace.security.identities import Identity, Proof
from headrace.security.identity_file import Issuer
from headrace.security.jwks import IssuerKeys, PublicKey

LEEWAY_SECONDS = 30
_MAX_TEXT = 256
_MAX_GROUPS = 200
_MAX_TRIED = 3
_GROUP = "group:"
_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*")
"""Decoders pass over other characters: with them one token would have any number of forms."""


def require_pyjwt() -> None:
    """Raises FailedPrecondition (JWT_NOT_INSTALLED) where tokens cannot be verified in this environment."""
    try:
        import cryptography  # noqa: F401
        import jwt  # noqa: F401
    except ImportError as error:
        raise errors.FailedPrecondition(
            "JWT_NOT_INSTALLED",
            "the identity file names issuers of JWTs, and PyJWT with cryptography is not installed: "
            "`pip install 'headrace[security]'`",
        ) from error


class IssuedTokens:
    """Verifies the tokens of these issuers. `wake` has keys that are due read now."""

    def __init__(self, issuers: Sequence[IssuerKeys], wake: Callable[[], None]) -> None:
        self._issuers = {keys.issuer.issuer: keys for keys in issuers}
        self._wake = wake

    def verify(self, token: str) -> Identity:
        """Return whose token it is. It may take milliseconds, and seconds where keys are read for it.

        Raises Unauthenticated (TOKEN_INVALID, TOKEN_EXPIRED), Unavailable (TOKEN_KEYS_UNAVAILABLE).
        """
        import jwt

        if _FORM.fullmatch(token) is None:
            raise _invalid("it is malformed")
        try:
            header, claimed = _unverified(token)
            keys = self._issuers.get(claimed) if isinstance(claimed, str) else None
            if keys is None:
                raise _invalid("its issuer (iss) is none of those that the identity file names")
            return _identity(keys.issuer, self._claims(token, header, keys))
        except jwt.ExpiredSignatureError:
            raise errors.Unauthenticated(
                "TOKEN_EXPIRED", "the token's time (exp) is over; get a new one"
            ) from None
        except jwt.PyJWTError as error:
            raise _invalid(_words(error)) from None
        except (ValueError, TypeError, OverflowError, RecursionError):
            raise _invalid("it is malformed") from None

    def _claims(self, token: str, header: Mapping[str, Any], keys: IssuerKeys) -> Mapping[str, Any]:
        import jwt

        algorithm = header.get("alg")
        if algorithm not in keys.issuer.algorithms:
            raise _invalid(f"its algorithm is none of {', '.join(keys.issuer.algorithms)}")
        if "crit" in header:
            raise _invalid("it demands extensions (crit), and none is known")
        fitting = self._fitting(keys, algorithm, header.get("kid"))
        for number, key in enumerate(fitting, 1):
            try:
                return _decoded(token, key, algorithm, keys.issuer)
            except jwt.InvalidSignatureError:
                if number == len(fitting):
                    raise
        raise AssertionError("there is a key, or an error was raised")

    def _fitting(self, keys: IssuerKeys, algorithm: str, key_id: object) -> list[PublicKey]:
        """The keys that may have signed: by the id in the header, or the only one for the algorithm."""
        found = _chosen(keys.keys, algorithm, key_id)
        if not found and keys.ask(self._wake):
            found = _chosen(keys.keys, algorithm, key_id)
        if found:
            return found[:_MAX_TRIED]
        if not keys.keys:
            raise errors.Unavailable(
                "TOKEN_KEYS_UNAVAILABLE",
                f"the keys of the issuer {keys.issuer.name!r} could not be read yet; try again",
                facts={"issuer": keys.issuer.name},
                retry_after_seconds=5.0,
            )
        raise _invalid(f"its key (kid) is none of the issuer {keys.issuer.name!r}")


def _unverified(token: str) -> tuple[Mapping[str, Any], object]:
    import jwt

    read = jwt.decode_complete(token, options={"verify_signature": False})
    return read["header"], read["payload"].get("iss")


def _chosen(keys: Sequence[PublicKey], algorithm: str, key_id: object) -> list[PublicKey]:
    able = [key for key in keys if algorithm in key.algorithms]
    if key_id is None:
        return able if len(able) == 1 else []
    return [key for key in able if key.id == key_id]


def _decoded(token: str, key: PublicKey, algorithm: str, issuer: Issuer) -> Mapping[str, Any]:
    import jwt

    claims: Mapping[str, Any] = jwt.decode(
        token,
        key.key,
        algorithms=[algorithm],
        audience=issuer.audiences,
        issuer=issuer.issuer,
        leeway=LEEWAY_SECONDS,
        options={"require": ["exp", "iat", "sub"]},
    )
    lifetime = int(claims["exp"]) - int(claims["iat"])
    if issuer.max_lifetime_seconds and lifetime > issuer.max_lifetime_seconds:
        raise _invalid(f"it is valid for more than {issuer.max_lifetime_seconds:g} s")
    return claims


def _identity(issuer: Issuer, claims: Mapping[str, Any]) -> Identity:
    subject = claims.get(issuer.subject_claim)
    if not _is_name(subject) or subject.startswith(_GROUP):
        raise _invalid(
            f"its {issuer.subject_claim} is no text of 1 to {_MAX_TEXT} printable characters"
        )
    return Identity(
        f"{issuer.name}:{subject}",
        Proof.TOKEN,
        issuer.name,
        tuple(f"{issuer.name}:{_GROUP}{group}" for group in _groups(issuer, claims)),
        int(claims["exp"]) + LEEWAY_SECONDS,
    )


def _groups(issuer: Issuer, claims: Mapping[str, Any]) -> list[str]:
    told = claims.get(issuer.groups_claim) if issuer.groups_claim else None
    listed = [told] if isinstance(told, str) else told if isinstance(told, list) else []
    return [group for group in listed[:_MAX_GROUPS] if _is_name(group)]


def _is_name(text: object) -> TypeGuard[str]:
    return isinstance(text, str) and 0 < len(text) <= _MAX_TEXT and text.isprintable()


def _words(error: Exception) -> str:
    """An error of PyJWT in our words, which quote nothing of the token."""
    import jwt

    texts: tuple[tuple[type[Exception], str], ...] = (
        (jwt.InvalidSignatureError, "its signature is wrong"),
        (jwt.InvalidAudienceError, "its audience (aud) is none that the identity file names"),
        (jwt.ImmatureSignatureError, "it is not valid yet (nbf, iat)"),
        (jwt.InvalidIssuerError, "its issuer (iss) is another"),
        (jwt.MissingRequiredClaimError, "it lacks one of exp, iat, sub"),
        (jwt.InvalidAlgorithmError, "its algorithm is not allowed"),
    )
    return next((text for kind, text in texts if isinstance(error, kind)), "it is malformed")


def _invalid(why: str) -> errors.Unauthenticated:
    return errors.Unauthenticated("TOKEN_INVALID", f"the token is refused: {why}")
