"""Names the keys of the shared state: one hash tag, so that scripts work on a cluster."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NAMESPACE = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one namespace. Raises ValueError for a namespace that is no plain name."""

    namespace: str = "default"

    def __post_init__(self) -> None:
        """Refuse what would break the hash tag."""
        if not _NAMESPACE.fullmatch(self.namespace):
            raise ValueError(
                f"namespace {self.namespace!r} is not valid: use 1 to 64 letters, digits, '.', '_' or '-'"
            )

    def _key(self, name: str) -> str:
        return f"{{headrace:{self.namespace}}}:{name}"

    @property
    def every(self) -> str:
        """The pattern of all keys of the namespace."""
        return self._key("*")

    @property
    def epoch(self) -> str:
        """A string: says that this state was begun, and which unbroken history it has."""
        return self._key("epoch")

    @property
    def epoch_start(self) -> str:
        """A string: the revision with which the epoch began; not there in a state's first one."""
        return self._key("epoch-start")

    @property
    def schema(self) -> str:
        """A string: the schema number of the newest registry that wrote here; not there up to 0.1."""
        return self._key("schema")

    @property
    def revision(self) -> str:
        """A counter: the number of the newest change."""
        return self._key("revision")

    @property
    def models(self) -> str:
        """A hash: model name to its record as JSON."""
        return self._key("models")

    @property
    def versions(self) -> str:
        """A hash: `model/number` to the version's record as JSON."""
        return self._key("versions")

    def collection(self, name: str) -> str:
        """A hash: key to the record of a collection as JSON."""
        return self._key(name)

    @property
    def numbers(self) -> str:
        """A hash: model name to its last version number, kept when the model is deleted."""
        return self._key("numbers")

    @property
    def changes(self) -> str:
        """A stream: one entry a change, whose id is `<revision>-0`."""
        return self._key("changes")

    @property
    def counts(self) -> str:
        """A string, `revision:models:versions:numbers`: how many there were after the newest change.

        Behind them `:collection=count` for each further collection that has records.
        """
        return self._key("counts")

    @property
    def change_hash(self) -> str:
        """A string: the SHA-256 of the newest entry of `changes`."""
        return self._key("change-hash")

    @property
    def durability(self) -> str:
        """A string that is written to learn whether all that was written before is on disk."""
        return self._key("durability")

    @property
    def replicas(self) -> str:
        """A sorted set: replica ids by the time (Unix seconds) at which their presence ends."""
        return self._key("replicas")

    def replica(self, replica_id: str) -> str:
        """A string with a TTL: one replica's presence as JSON, but for what it has."""
        return self._key(f"replica:{replica_id}")

    @property
    def key_uses(self) -> str:
        """A hash: API key's id to the day (since the epoch) of its last use.

        Its name begins as those of replicas, which write it; no replica's id has a '#'.
        """
        return self._key("replica:#key-uses")

    def replica_versions(self, replica_id: str) -> str:
        """A hash with a TTL: model name to what the replica has of it as JSON."""
        return self._key(f"replica-versions:{replica_id}")

    def request(self, request_id: str) -> str:
        """A string with a TTL: what a create with this request id made."""
        return self._key(f"request:{request_id}")
