"""Room for pushes: those that stall keep it only while nobody else needs it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from headrace import errors
from headrace_registry.domain.pushes.uploads import Upload, UploadLimits, Uploads
from headrace_registry.settings import Settings


def room(size: int) -> None:
    """A disk of 100 bytes."""
    if size > 100:
        raise errors.ResourceExhausted("DISK_FULL", "full")


def uploads(pushes: int = 1, staged: int = 100, yields: float = 0.02) -> Uploads:
    """Room for so many pushes, each of which may pause for a minute."""
    return Uploads(UploadLimits(pushes, staged, 60.0, yields), room)


async def no_more(sent: list[bytes]) -> AsyncIterator[bytes]:
    """Chunks, and then silence."""
    for chunk in sent:
        yield chunk
    await asyncio.Event().wait()


async def stalled(many: Uploads, size: int, sent: list[bytes], begun: asyncio.Event) -> None:
    """A push that announces so many bytes and stands still after what it sent."""
    with many.open() as upload:
        upload.reserve(size, 1)
        begun.set()
        async for _ in upload.paced(no_more(sent)):
            pass


async def opened(many: Uploads, size: int = 1) -> Upload:
    """A push that gets its room as soon as there is some, and the upload that had it."""
    async with asyncio.timeout(10):
        while True:
            try:
                with many.open() as upload:
                    upload.reserve(size, 1)
                    return upload
            except errors.ResourceExhausted:
                await asyncio.sleep(0.005)


@pytest.mark.parametrize(
    ("many", "held", "wanted"),
    [
        (uploads(pushes=1, yields=0.25), 10, 10),
        (uploads(pushes=9, staged=90, yields=0.25), 60, 60),
        (uploads(pushes=9, staged=900, yields=0.25), 60, 60),
    ],
    ids=["places", "staged bytes", "disk"],
)
@pytest.mark.parametrize("sent", [[], [b"x"]])
async def test_a_push_that_stalls_makes_room(
    many: Uploads, held: int, wanted: int, sent: list[bytes]
) -> None:
    """Not at once, but long before its own time is up; it is told why."""
    begun = asyncio.Event()
    holding = asyncio.ensure_future(stalled(many, held, sent, begun))
    await begun.wait()
    with pytest.raises(errors.ResourceExhausted), many.open() as upload:
        upload.reserve(wanted, 1)
    await opened(many, wanted)
    with pytest.raises(errors.DeadlineExceeded, match="others need its place"):
        await holding


async def test_a_push_that_moves_keeps_its_room() -> None:
    """Nor does one that is being checked lose it: nobody waits for its caller then."""
    many, begun = uploads(yields=0.05), asyncio.Event()

    async def busy() -> None:
        with many.open() as upload:
            begun.set()
            for _ in range(4):
                await upload.wait(asyncio.sleep(0, b""))
                await asyncio.sleep(0.06)  # it is written, checked or stored

    sending = asyncio.ensure_future(busy())
    await begun.wait()
    while not sending.done():
        with pytest.raises(errors.ResourceExhausted), many.open():
            pass
        await asyncio.sleep(0.0005)
    await sending


async def test_what_never_fits_ends_nobody() -> None:
    """An announcement over the limits is refused, and those that stall stay."""
    many, begun = uploads(pushes=9), asyncio.Event()
    holding = asyncio.ensure_future(stalled(many, 10, [], begun))
    await begun.wait()
    await asyncio.sleep(0.05)
    with pytest.raises(errors.ResourceExhausted, match="raise the setting"), many.open() as upload:
        upload.reserve(101, 1)
    ended, _ = await asyncio.wait({holding}, timeout=0.1)
    holding.cancel()
    assert not ended


def test_limits_that_contradict_each_other_are_refused_at_the_start() -> None:
    """The largest artifact must fit among what is staged, or it would be refused for ever."""
    with pytest.raises(ValueError, match="max_staged_bytes is 100; it must be at least"):
        Settings(redis_url="redis://localhost", max_artifact_bytes=101, max_staged_bytes=100)
