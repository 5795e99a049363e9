"""The policy of signatures: which models must be signed, and by whom. A TOML file:

    [[rule]]
    models = ["fraud-*"]                    # the first rule that names a model counts
    public_keys = ["keys/fraud-team.pem"]   # any of them; paths are relative to this file
    certificate_authorities = ["ca.pem"]    # or whoever has a certificate of one of these

Models that no rule names may come unsigned. The file is read again when it, or a key, changes.
"""

from __future__ import annotations

import logging
import threading
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from headrace import errors
from headrace.artifacts import signatures
from headrace.artifacts.bundles import Bundle, check_files, read_bundle
from headrace.artifacts.digests import Files
from headrace.file_stamps import Stamp, stamp_of

logger = logging.getLogger(__name__)

INVALID = "SIGNATURE_POLICY_INVALID"
MISSING = "SIGNATURE_MISSING"


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may sign the models of these patterns: owners of keys (by their hints), or of certificates."""

    models: tuple[str, ...]
    keys: Mapping[str, Path] = field(default_factory=dict)
    authorities: tuple[Path, ...] = ()

    def names(self, model: str) -> bool:
        """Return whether the rule is for a model."""
        return any(fnmatchcase(model, pattern) for pattern in self.models)


@dataclass(frozen=True, slots=True)
class SignaturePolicy:
    """The rules, in their order; without any, every version is taken as it is."""

    rules: tuple[Rule, ...] = ()

    def demands(self, model: str) -> bool:
        """Return whether a model's versions must be signed."""
        return self._rule(model) is not None

    def admit(self, model: str, text: str) -> None:
        """Pass what may be a signature that the model's versions need, or none that they do not.

        Raises FailedPrecondition (SIGNATURE_MISSING), InvalidArgument (SIGNATURE_MALFORMED).
        """
        if text:
            read_bundle(text)
        elif self.demands(model):
            raise errors.FailedPrecondition(
                MISSING,
                f"versions of {model!r} must be signed, as the signature policy says, and this one is not: "
                "push it with --sign-key",
                facts={"model": model},
            )

    def check(self, model: str, text: str, files: Files) -> str:
        """See that a version is signed as the policy wants; gives a sentence about its signature, or ''.

        Raises FailedPrecondition (SIGNATURE_MISSING, SIGNATURE_UNTRUSTED), InvalidArgument
        (SIGNATURE_MALFORMED, SIGNATURE_MISMATCH).
        """
        self.admit(model, text)
        if not text:
            return ""
        bundle = read_bundle(text)
        check_files(bundle, files)
        rule = self._rule(model)
        if rule is None:
            return "signed, which nobody has verified here: no policy names the model"
        return f"signed by {_signer(rule, bundle, files)}"

    def _rule(self, model: str) -> Rule | None:
        return next((rule for rule in self.rules if rule.names(model)), None)


NO_POLICY = SignaturePolicy()


def _signer(rule: Rule, bundle: Bundle, files: Files) -> str:
    """Return by whom a bundle is signed. Raises FailedPrecondition (SIGNATURE_UNTRUSTED)."""
    if not bundle.key_hint:
        if not rule.authorities:
            raise signatures.untrusted("it is by a certificate, and the policy names keys only")
        signatures.verify_by_certificate(bundle, files, rule.authorities)
        return "a certificate that is trusted"
    path = rule.keys.get(bundle.key_hint)
    if path is None:
        raise signatures.untrusted(
            f"it is by a key with the hint {bundle.key_hint[:64]!r}, which is not among the "
            f"{len(rule.keys)} that the policy names for this model"
        )
    signatures.verify_by_key(bundle, files, path)
    return f"the key {path.name}"


class PolicyFile:
    """The policy in a file, as it is now; the last that was right where it is not. Any thread may ask."""

    def __init__(self, path: Path) -> None:
        """Raises InvalidArgument (SIGNATURE_POLICY_INVALID), FailedPrecondition (SIGNING_NOT_INSTALLED)."""
        signatures.require_library()
        self._path = path
        self._mutex = threading.Lock()
        before = stamp_of(path)
        self._policy = read_policy(path)
        self._seen = [before, *self._stamps()[1:]]

    def current(self) -> SignaturePolicy:
        """The policy that holds."""
        with self._mutex:
            stamps = self._stamps()
            if stamps != self._seen:
                self._seen = stamps
                self._read_again()
            return self._policy

    def _read_again(self) -> None:
        try:
            self._policy = read_policy(self._path)
        except errors.HeadraceError as error:
            logger.error("the signature policy is as it was before: %s", error.message)  # noqa: TRY400
        else:
            logger.info("the signature policy was read again", extra={"path": str(self._path)})

    def _stamps(self) -> list[Stamp | None]:
        rules = self._policy.rules
        keys = [path for rule in rules for path in (*rule.keys.values(), *rule.authorities)]
        return [stamp_of(path) for path in (self._path, *keys)]


def open_policy(path: Path | None) -> PolicyFile | None:
    """The policy of a setting, None where there is none. Raises as PolicyFile does."""
    return None if path is None else PolicyFile(path)


def read_policy(path: Path) -> SignaturePolicy:
    """The policy in a file. Raises InvalidArgument (SIGNATURE_POLICY_INVALID)."""
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise _invalid(path, str(error)) from error
    tables = document.pop("rule", [])
    if document or not isinstance(tables, list) or not tables:
        raise _invalid(path, "it has [[rule]] tables, one at least, and nothing else")
    return SignaturePolicy(tuple(_rule(path, table) for table in tables))


_FIELDS = ("models", "public_keys", "certificate_authorities")


def _rule(path: Path, table: Any) -> Rule:
    if not isinstance(table, dict) or table.keys() - set(_FIELDS):
        raise _invalid(path, f"a rule has only {', '.join(_FIELDS)}")
    lists = {name: table.get(name, []) for name in _FIELDS}
    for name, value in lists.items():
        if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
            raise _invalid(path, f"{name} is a list of texts")
    if not lists["models"] or not (lists["public_keys"] or lists["certificate_authorities"]):
        raise _invalid(path, "a rule names models, and public_keys or certificate_authorities")
    keys = [path.parent / name for name in lists["public_keys"]]
    authorities = tuple(path.parent / name for name in lists["certificate_authorities"])
    try:
        hints = {signatures.key_hint(key): key for key in keys}
        for authority in authorities:
            _check_certificates(authority)
    except (OSError, ValueError, errors.HeadraceError) as error:
        raise _invalid(path, str(error)) from error
    return Rule(tuple(lists["models"]), hints, authorities)


def _check_certificates(path: Path) -> None:
    """Pass if a file has certificates. Raises OSError, ValueError."""
    from cryptography import x509

    x509.load_pem_x509_certificates(path.read_bytes())


def _invalid(path: Path, why: str) -> errors.InvalidArgument:
    return errors.InvalidArgument(INVALID, f"the signature policy {path} cannot be used: {why}")
