"""The public keys of issuers: read from files and URLs in a thread, and kept while those are away."""

from __future__ import annotations

import json
import logging
import ssl
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any, Self

from headrace.security.identity_file import Issuer
from headrace.security.regular_files import read_regular_file

logger = logging.getLogger(__name__)

REFRESH_SECONDS = 600.0
FILE_SECONDS = 5.0
"""How often a file is looked at."""
ASKED_SECONDS, FILE_ASKED_SECONDS = 60.0, 1.0
"""How often, at most, a key that is not known has a URL or a file read again: callers make such keys up."""
WAIT_SECONDS = 3.0
"""How long a token with such a key waits for that."""
RETRY_SECONDS = 15.0
"""When a URL that did not answer is asked again."""

_TIMEOUT_SECONDS = 5.0
_MAX_BYTES = 2**20
_MAX_KEYS = 100
_MIN_RSA_BITS = 2048

_CURVES = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}


class KeysUnusable(Exception):
    """What was read has no keys."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key, its id, and the algorithms that it may verify."""

    id: str
    algorithms: frozenset[str]
    key: Any


def parse_keys(data: bytes, algorithms: Iterable[str]) -> tuple[PublicKey, ...]:
    """The keys of a JWKS for these algorithms; others are passed over. Raises KeysUnusable."""
    try:
        document = json.loads(data)
        listed = document["keys"]
    except (ValueError, RecursionError, TypeError, KeyError):
        raise KeysUnusable('it is not a JWKS: {"keys": [...]}') from None
    if not isinstance(listed, list):
        raise KeysUnusable("its 'keys' is no list")
    found = (_key(each, frozenset(algorithms)) for each in listed[:_MAX_KEYS])
    keys = tuple(key for key in found if key is not None)
    if not keys:
        raise KeysUnusable(f"it has no key for {', '.join(sorted(algorithms))}")
    return keys


def _key(data: object, allowed: frozenset[str]) -> PublicKey | None:
    import jwt

    if not isinstance(data, dict) or data.get("use", "sig") != "sig":
        return None
    algorithms = _algorithms(data) & allowed
    if not algorithms:
        return None
    public = {name: value for name, value in data.items() if name != "d"}
    try:
        key = jwt.PyJWK(public, min(algorithms)).key
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        logger.warning("a key of an issuer is left out: %s", type(error).__name__)
        return None
    if getattr(key, "key_size", _MIN_RSA_BITS) < _MIN_RSA_BITS and data["kty"] == "RSA":
        logger.warning("a key of an issuer is left out: RSA with fewer than %d bits", _MIN_RSA_BITS)
        return None
    key_id = data.get("kid", "")
    return PublicKey(key_id if isinstance(key_id, str) else "", algorithms, key)


def _algorithms(data: Mapping[str, object]) -> frozenset[str]:
    """The algorithms that a key is for: never one of a shared secret, whatever it says."""
    kty, crv, alg = data.get("kty"), data.get("crv"), data.get("alg")
    if kty == "RSA":
        able = {f"{family}{bits}" for family in ("RS", "PS") for bits in (256, 384, 512)}
    elif kty == "EC":
        able = {_CURVES[crv]} if isinstance(crv, str) and crv in _CURVES else set()
    elif kty == "OKP" and crv == "Ed25519":
        able = {"EdDSA"}
    else:
        able = set()
    return frozenset(able if alg is None else able & {alg} if isinstance(alg, str) else ())


@dataclass(slots=True)
class IssuerKeys:
    """The keys of one issuer. Those who verify read them; one thread refreshes them."""

    issuer: Issuer
    read: Callable[[Issuer], bytes]
    now: Callable[[], float] = time.monotonic
    on_change: Callable[[], None] = lambda: None
    """Called when other keys were read than before: what they proved is to be proved anew."""
    keys: tuple[PublicKey, ...] = ()
    problem: str = ""
    """Why the last reading failed; '' if it did not."""
    failures: int = 0
    read_at: float = -1.0
    """When keys were read last, by `now`; below 0: never."""
    _due_at: float = 0.0
    _asked_at: float = -ASKED_SECONDS
    _readings: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def due_at(self) -> float:
        """When it is to be read next."""
        return self._due_at

    def refresh(self) -> None:
        """Read the keys; those of before stay where that fails."""
        try:
            keys = parse_keys(self.read(self.issuer), self.issuer.algorithms)
        except (OSError, HTTPException, KeysUnusable, ValueError) as error:
            self._fail(error)
        else:
            if self.problem:
                logger.info("the keys of an issuer can be read again", extra=self._facts())
            before, self.keys = self.keys, keys
            self.problem, self.read_at = "", self.now()
            if before and before != keys:
                self.on_change()
        with self._changed:
            self._due_at = self.now() + self._pause()
            self._readings += 1
            self._changed.notify_all()

    def _pause(self) -> float:
        if not self.issuer.is_remote:
            return FILE_SECONDS
        return RETRY_SECONDS if self.problem else REFRESH_SECONDS

    def _fail(self, error: Exception) -> None:
        problem = str(error) or type(error).__name__
        self.failures += 1
        if problem != self.problem:
            kept = (
                "those that were read before stay" if self.keys else "its tokens cannot be verified"
            )
            logger.error(
                "the keys of an issuer cannot be read: %s; %s", problem, kept, extra=self._facts()
            )
        self.problem = problem

    def _facts(self) -> dict[str, str]:
        return {"issuer": self.issuer.name, "jwks": self.issuer.jwks}

    def ask(self, wake: Callable[[], None]) -> bool:
        """Have it read now, for a key that is not known, and wait for it; False where that was lately."""
        with self._changed:
            now = self.now()
            seldom = ASKED_SECONDS if self.issuer.is_remote else FILE_ASKED_SECONDS
            if now - self._asked_at < seldom:
                return False
            self._asked_at = now
            self._due_at = 0.0
            readings = self._readings
            wake()
            return self._changed.wait_for(lambda: self._readings > readings, WAIT_SECONDS)


class KeyKeeper:
    """Keeps the keys of issuers fresh, in a thread, while inside; `look` is called every few seconds."""

    def __init__(self, look: Callable[[], None], look_seconds: float) -> None:
        self._issuers: Sequence[IssuerKeys] = ()
        self._look = look
        self._look_seconds = look_seconds
        self._awake = threading.Event()
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="identity", daemon=True)

    def keep(self, issuers: Sequence[IssuerKeys]) -> None:
        """Keep these from now on."""
        self._issuers = issuers
        self.wake()

    def wake(self) -> None:
        """Look at once which are due."""
        self._awake.set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_closing = True
        self.wake()
        # it may be in the middle of a request to a URL, which nothing here depends on: it is a daemon
        self._thread.join(0.1)

    def _run(self) -> None:
        look_at = time.monotonic() + self._look_seconds
        while not self._is_closing:
            self._awake.clear()
            for keys in self._issuers:
                if keys.due_at() <= keys.now():
                    keys.refresh()
            self._awake.wait(max(0.0, look_at - time.monotonic()))
            if time.monotonic() >= look_at:  # however often it is woken
                self._look()
                look_at = time.monotonic() + self._look_seconds


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Refuses to be sent elsewhere."""

    def redirect_request(self, *_: object, **__: object) -> None:
        """Say that there is nowhere to go: the answer is an error then."""


def read_jwks(issuer: Issuer) -> bytes:
    """The JWKS of an issuer, of a bounded size and in bounded time. Raises OSError, KeysUnusable."""
    if not issuer.is_remote:
        return _bounded(read_regular_file(Path(issuer.jwks), _MAX_BYTES))
    context = ssl.create_default_context(cafile=issuer.jwks_ca or None)
    opener = urllib.request.build_opener(
        urllib.request.HTTPSHandler(context=context), _NoRedirects()
    )
    with opener.open(_request(issuer), timeout=_TIMEOUT_SECONDS) as response:
        return _body(response)


def _request(issuer: Issuer) -> urllib.request.Request:
    request = urllib.request.Request(issuer.jwks, headers={"Accept": "application/json"})  # noqa: S310 - https alone
    if issuer.jwks_token_file:
        token = Path(issuer.jwks_token_file).read_text().strip()
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    return request


def _body(response: Any) -> bytes:
    until, parts, size = time.monotonic() + 2 * _TIMEOUT_SECONDS, list[bytes](), 0
    while part := response.read1(65_536):
        parts.append(part)
        size += len(part)
        if size > _MAX_BYTES:
            break
        if time.monotonic() > until:
            raise TimeoutError("the answer takes too long")
    return _bounded(b"".join(parts))


def _bounded(data: bytes) -> bytes:
    if len(data) > _MAX_BYTES:
        raise KeysUnusable(f"it has more than {_MAX_BYTES} bytes")
    return data
