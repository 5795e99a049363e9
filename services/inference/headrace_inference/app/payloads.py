"""Sets up the payload log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from headrace.payload_log.formats import require_parquet
from headrace.payload_log.places import open_place
from headrace_inference.adapters.payload_log import Keeping, PayloadLog, writing
from headrace_inference.adapters.system_clock import SYSTEM_CLOCK
from headrace_inference.domain.payloads.choosing import PayloadChoice
from headrace_inference.domain.payloads.fields import allowed_fields
from headrace_inference.domain.payloads.record_making import RecordMaker
from headrace_inference.domain.payloads.taking import PayloadTaker
from headrace_inference.domain.sampling.slices import slicings
from headrace_inference.settings import Settings


@dataclass(frozen=True, slots=True)
class Payloads:
    """What takes requests, and what writes them; neither where nothing is logged."""

    taker: PayloadTaker | None = None
    log: PayloadLog | None = None


@contextmanager
def open_payload_log(settings: Settings) -> Iterator[Payloads]:
    """Log payloads while inside, where a setting says so.

    Raises FailedPrecondition where a package for it is missing (PARQUET_MISSING, BLOB_STORE_REFUSED).
    """
    if not settings.payload_log:
        yield Payloads()
        return
    if settings.payload_format == "parquet":
        require_parquet()
    fields = allowed_fields(settings.payload_fields)
    choice = PayloadChoice(SYSTEM_CLOCK, settings.payload_share, settings.payload_rows)
    taker = PayloadTaker(SYSTEM_CLOCK, choice, fields, settings.payload_max_values)
    maker = RecordMaker(
        fields, settings.read_masks(), slicings(settings.slice_by), settings.replica_id
    )
    keeping = Keeping(
        settings.payload_format,
        settings.payload_file_seconds,
        settings.payload_keep_days,
        settings.payload_max_bytes,
    )
    place = open_place(settings.payload_log)
    log = PayloadLog(taker, maker, place, keeping, settings.replica_id, SYSTEM_CLOCK)
    with writing(log):
        yield Payloads(taker, log)
