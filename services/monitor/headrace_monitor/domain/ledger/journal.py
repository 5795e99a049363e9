"""Reports as bytes, as they were counted: what is stored of each before it is acknowledged.

An entry has a checksum, the length of its head, the head as JSON, and the encoded tallies one after the
other. It is counted again at a start, unless it came into a checkpoint: everything that the ledger holds.
"""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

import msgspec

from headrace_monitor.domain.clock import Moment
from headrace_monitor.domain.telemetry import encoding
from headrace_monitor.domain.telemetry.report import Report, VersionTelemetry

_PREFIX = struct.Struct("<II")
_CHECKSUM_BYTES = 4


class JournalEntry(NamedTuple):
    """A report with the monitor's times, when it was counted, and how far its replica's clock is ahead."""

    report: Report
    moment: Moment
    ahead_ns: int


_Head = tuple[str, str, int, int, int, int, bool, int, int, int, int, list[tuple[str, int, int]]]
_decoder = msgspec.json.Decoder(_Head)


def encode(entry: JournalEntry) -> bytes:
    """Encode an entry."""
    report, moment, ahead_ns = entry
    versions = [(each.model, each.version, len(each.encoded)) for each in report.versions]
    head = msgspec.json.encode(
        (
            *(report.replica, report.boot_id, report.sequence, report.start_ns, report.end_ns),
            *(report.dropped_reports, report.last, report.sent_ns, *moment, ahead_ns, versions),
        )
    )
    body = b"".join((head, *[each.encoded for each in report.versions]))
    length = struct.pack("<I", len(head))
    return _PREFIX.pack(zlib.crc32(body, zlib.crc32(length)), len(head)) + body


def decode(encoded: bytes) -> JournalEntry:
    """Decode an entry. Raises ValueError where it is damaged."""
    if not is_intact(encoded):
        raise ValueError("a report's checksum does not match")
    place = _PREFIX.size + _PREFIX.unpack_from(encoded)[1]
    head = _decoder.decode(encoded[_PREFIX.size : place])
    now_ns, steady_ns, ahead_ns = head[8:11]
    versions = []
    for model, version, length in head[11]:
        tally = encoded[place : place + length]
        versions.append(VersionTelemetry(model, version, tally, encoding.values_of(tally)))
        place += length
    replica, boot_id, sequence, start_ns, end_ns, dropped, last, sent_ns = head[:8]
    report = Report(
        *(replica, boot_id, sequence, start_ns, end_ns, tuple(versions), dropped, last, sent_ns)
    )
    return JournalEntry(report, Moment(now_ns, steady_ns), ahead_ns)


def is_intact(encoded: bytes) -> bool:
    """Check that these are the bytes that `encode` gave."""
    checksum = zlib.crc32(encoded[_CHECKSUM_BYTES:])
    return len(encoded) >= _PREFIX.size and _PREFIX.unpack_from(encoded)[0] == checksum
