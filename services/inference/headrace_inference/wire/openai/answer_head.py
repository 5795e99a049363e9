"""Makes what all objects of one answer have in common, once."""

from __future__ import annotations

import time
from dataclasses import dataclass
from uuid import uuid4

import msgspec

from headrace.state.records import VersionRecord

_DIGEST = 8


@dataclass(frozen=True, slots=True)
class AnswerHead:
    """An answer's id, its time, and by what it was made."""

    id: str
    kind: str
    """What it is called as an object."""
    created: int
    model: str
    """As it was asked for."""
    system_fingerprint: str
    """The version that answers, and the beginning of its digest."""

    def members(self) -> dict[str, object]:
        """They as members of an object."""
        return {
            "id": self.id,
            "object": self.kind,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.system_fingerprint,
        }

    def opening(self) -> bytes:
        """An object that begins with them, up to where the next member would be."""
        return msgspec.json.encode(self.members())[:-1]


def answer_head(prefix: str, kind: str, model: str, record: VersionRecord) -> AnswerHead:
    """The head of a new answer."""
    fingerprint = f"{record.key}-{record.digest[:_DIGEST]}" if record.digest else record.key
    return AnswerHead(f"{prefix}{uuid4().hex}", kind, int(time.time()), model, fingerprint)
