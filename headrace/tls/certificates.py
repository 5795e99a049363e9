"""Certificates as the files have them now; a pair that cannot be used leaves the one before."""

from __future__ import annotations

import logging
import threading
import time

from headrace import errors
from headrace.tls.files import Material, Stamp, TlsFiles, read_material, stamp_of

logger = logging.getLogger(__name__)

_SETTLED_NS = 2_000_000_000
"""A file younger than this may change again within the resolution of its times: it is read once more."""
GRACE_SECONDS = 1.0
"""A pair is written as two files: for so long nothing is said of one that does not fit."""
_RETRY_SECONDS = 0.5
"""Files that could not be used are looked at so often, also where nothing about them seems to change."""


class Certificates:
    """What is in the files, read again when they change. Any thread may ask.

    Files are replaced by renaming, by the symbolic link of their folder, as Kubernetes does, or are written
    over: until a key fits its certificate, the pair before is shown.
    """

    def __init__(self, files: TlsFiles) -> None:
        """Read the files. Raises FailedPrecondition (TLS_FILE_UNREADABLE, TLS_FILES_INVALID)."""
        self._files = files
        self._lock = threading.Lock()
        self._material, self._stamp = read_material(files)
        self._is_settled = _is_settled(self._stamp)
        self._tried, self._tried_at = self._stamp, time.monotonic()
        self._failing_since: float | None = None
        self.problem = ""
        """Why what is in the files now is not what is shown; '' where it is."""
        self.taken = 0
        """How often changed files were taken."""
        self.refused = 0
        """How often changed files could not be used."""

    def current(self) -> Material:
        """What is to be used now; the same object as long as nothing has changed."""
        with self._lock:
            if self._is_due():
                self._read_again()
            return self._material

    def _is_due(self) -> bool:
        try:
            stamp = stamp_of(self._files)
        except errors.FailedPrecondition as error:
            self._refuse(error)
            return False
        if stamp != self._tried:
            self._tried = stamp
            return True
        if self._failing_since is None:
            return not self._is_settled
        return time.monotonic() - self._tried_at >= _RETRY_SECONDS

    def _read_again(self) -> None:
        self._tried_at = time.monotonic()
        try:
            material, self._stamp = read_material(self._files)
        except errors.FailedPrecondition as error:
            self._refuse(error)
            return
        self._is_settled = _is_settled(self._stamp)
        self.problem, self._failing_since = "", None
        if material != self._material:
            self._material = material
            self.taken += 1
            logger.info("TLS files were read again", extra=_facts(material))

    def _refuse(self, error: errors.HeadraceError) -> None:
        now = time.monotonic()
        if self._failing_since is None:
            self._failing_since = now
        if self.problem != error.message and now - self._failing_since >= GRACE_SECONDS:
            self.problem = error.message
            self.refused += 1
            logger.error("%s; what was read before stays in use", error.message)


def _is_settled(stamp: Stamp) -> bool:
    return all(time.time_ns() - changed > _SETTLED_NS for *_, changed in stamp)


def _facts(material: Material) -> dict[str, object]:
    validity = material.validity
    return {} if validity is None else {"not_after": int(validity.not_after)}
