"""Etags: a caller changes only what it has seen."""

from __future__ import annotations

from headrace import errors


def etag_of(revision: int) -> str:
    """The etag of a record that was last changed at this revision."""
    return str(revision)


def check_etag(given: str, revision: int | None, resource: str) -> None:
    """Pass if no etag was given or it is the present one; `revision` None: the record is not there.

    Raises InvalidArgument (ETAG_INVALID) for what never was an etag, Aborted (ETAG_MISMATCH) for another.
    """
    if not given:
        return
    if not (given.isascii() and given.isdigit()):
        raise errors.InvalidArgument(
            "ETAG_INVALID", f"{given!r} is not a valid etag: give back one that was read, or none"
        )
    present = "none" if revision is None else etag_of(revision)
    if given != present:
        raise errors.Aborted(
            "ETAG_MISMATCH",
            f"{resource} was changed: its etag is {present}, not {given}; read it again, then decide",
            facts={"resource": resource, "present": present, "given": given},
        )
