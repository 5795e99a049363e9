"""The settings of a replica's payload log."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from headrace.masking.masks import Masks, masks_of
from headrace.masking.rule_files import read_key, read_patterns
from headrace.payload_log.places import place_problem
from headrace_inference.domain.payloads.fields import allowed_fields


@dataclass(frozen=True, kw_only=True)
class PayloadSettings:
    """What is logged of requests, and where."""

    payload_log: str = ""
    """Where requests and answers are logged: a folder, or a store of objects (s3://bucket/prefix, gs://,
    az://). Without one nothing is. See docs/payload-log.md before you set it: they may be about people."""
    payload_share: float = 0.01
    """The share of requests that are logged, 0 to 1: by a hash of a request's id, so that it is the same
    ones everywhere, and by chance where it has none."""
    payload_rows: float = 100.0
    """How many rows a second are logged at most, over all models; requests beyond are left out, and
    counted."""
    payload_fields: tuple[str, ...] = ()
    """Whose values may be logged: inputs, outputs, prompt, answer, input:NAME, output:NAME, header:NAME,
    parameter:NAME. Of all others names, datatypes and shapes are logged alone."""
    payload_masks: tuple[str, ...] = ("email", "phone", "card", "iban", "ip")
    """What is masked before it is written: email, phone, card, iban, ip and id in all texts, or a field
    (input:NAME, request_id, ...), with =mask, =hash or =drop behind it; or none alone."""
    payload_masks_file: Path | None = None
    """A TOML file of patterns of one's own: [[mask]] with name, regex and action."""
    payload_key_file: Path | None = None
    """The file of the key of hashes, 16 bytes at least. Who has it can try values out: keep it apart from
    the log."""
    payload_format: Literal["jsonl", "parquet"] = "jsonl"
    """JSON Lines, or Parquet (pip install 'headrace[parquet]')."""
    payload_keep_days: float = 7.0
    """After how many days files of the log are removed; 0 keeps them."""
    payload_max_bytes: int = 2**30
    """How large the log may be, all replicas that write there together: the oldest files go first. 0 sets
    no limit."""
    payload_max_values: int = 4096
    """How many values a tensor may have to be logged; of larger ones name, datatype and shape are."""
    payload_file_seconds: float = 60.0
    """How long records come together for one file, or until they are 8 MiB: what a replica loses at most
    that is killed."""

    def payload_problems(self) -> Iterator[tuple[str, str]]:
        """Every one of these settings that cannot be, and why."""
        if problem := place_problem(self.payload_log):
            yield "payload_log", problem
        if self.payload_share > 1:
            yield "payload_share", f"{self.payload_share} is not from 0 to 1"
        try:
            allowed_fields(self.payload_fields)
        except ValueError as error:
            yield "payload_fields", str(error)
        if self.payload_log:
            try:
                self.read_masks()
            except (ValueError, OSError) as error:
                yield "payload_masks", str(error)

    def read_masks(self) -> Masks:
        """The masks that rules, file and key make. Raises ValueError, OSError."""
        own = read_patterns(self.payload_masks_file)
        return masks_of(self.payload_masks, own, read_key(self.payload_key_file))
