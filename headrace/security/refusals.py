"""The errors that callers are told who are not known, may not, or cannot be judged yet."""

from __future__ import annotations

import json
from shlex import quote

from headrace import errors
from headrace.security.identities import Identity
from headrace.security.model_names import shortened
from headrace.security.verbs import Verb


def not_authenticated() -> errors.Unauthenticated:
    """Say that a caller has to be somebody."""
    return errors.Unauthenticated(
        "CREDENTIALS_MISSING",
        "who calls is not known here; send 'authorization: Bearer KEY' with an API key or a JWT, or a "
        "client certificate (the command line: --token-file, or `headrace login`)",
    )


def denied(
    identity: Identity, verb: Verb, model: str, *, by_file: bool = False
) -> errors.HeadraceError:
    """Say that a caller may not; whether there is such a model is not told.

    `by_file`: rights are those of a rights file, which `headrace grant` does not change.
    """
    if not identity.is_known:
        return not_authenticated()
    model = shortened(model)
    asked = f"model {model!r}, if there is one" if model else "all models"
    remedy = (_entry if by_file else _command)(identity.subject, model)
    facts = {"subject": identity.subject, "verb": verb.value}
    return errors.PermissionDenied(
        "PERMISSION_DENIED",
        f"{identity.subject} has not the right '{verb}' for {asked}; an admin can grant it: {remedy}",
        facts=facts | ({"model": model} if model else {}),
    )


def _command(subject: str, model: str) -> str:
    # quoted: a name that somebody made up must not become a command of the admin who reads this
    return f"headrace grant {quote(subject)} ROLE" + (f" --models {quote(model)}" if model else "")


def _entry(subject: str, model: str) -> str:
    models = f", models = [{json.dumps(model)}]" if model else ""
    return f'in the rights file, [[grants]] with subject = {json.dumps(subject)}, role = "ROLE"{models}'


def rights_unknown() -> errors.Unavailable:
    """Say that it cannot be decided yet: it would be wrong to tell a caller that he may not."""
    return errors.Unavailable(
        "RIGHTS_UNKNOWN",
        "this service has not learnt yet which keys there are and what they may do; try again",
        retry_after_seconds=1.0,
    )


def again(error: errors.HeadraceError) -> errors.Unauthenticated:
    """Return the error anew: one that was raised holds its frames."""
    return errors.Unauthenticated(error.reason, error.message, facts=error.facts)
