"""The record of a version's reference: which bytes it is, and what is done with rows that differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from headrace.resource_names import reference_resource
from headrace.state.records import ArtifactFile

CONTENT_PATH = "reference"
"""The path of a reference's bytes, where a path is said."""


@dataclass(frozen=True, slots=True)
class ReferenceRecord:
    """A reference without its content, which is a blob. `sha256` is its digest, wherever one is named."""

    model: str
    number: int
    sha256: str
    size_bytes: int
    source: str = ""
    rows: int = 0
    fields: int = 0
    origin: str = ""
    created_at: float = 0.0
    updated_at: float = 0.0
    enforcement: Mapping[str, str] = field(default_factory=dict)
    """By field, `reject` or `flag`; all others are counted. A word that is not known counts."""
    revision: int = 0

    @property
    def name(self) -> str:
        """The resource's name, by which it is kept."""
        return reference_resource(self.model, self.number)

    @property
    def key(self) -> str:
        """For people: whose it is."""
        return f"{self.model}/{self.number} (its reference)"

    @property
    def file(self) -> ArtifactFile:
        """The content, as artifacts' files are fetched and counted."""
        return ArtifactFile(CONTENT_PATH, self.size_bytes, self.sha256)
