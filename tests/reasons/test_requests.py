"""Each refusal of an inference request, over every wire: told as the page says, and counted once."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from tests.reasons.exact import (
    Told,
    expected,
    in_book,
    listed,
    monitored,
    scraped,
    settled,
)
from tests.reasons.messages import CALLS, MALFORMED, POSTS
from tests.reasons.replicas import Site, serving_plain
from tests.reasons.scenes import SCENES, Ask, Scene
from tests.rpc.grpc_fixtures import FRONTS

ERRORS = "headrace_inference_errors_total"

CLASSES: dict[str, list[str]] = {
    reason: [kind for kind, each in listed() if each == reason] for _, reason in listed()
}
"""Those of each reason."""


@pytest.mark.parametrize("front", FRONTS)
async def test_plain_refusals(tmp_path: Path, front: str) -> None:
    """Those that need nothing but a wrong request, or a model that is wrong."""
    looking = Looking()
    async with serving_plain(tmp_path, front) as site:
        calls = {reason: message.SerializeToString() for reason, message in CALLS.items()}
        calls["MALFORMED_REQUEST"] = MALFORMED
        for reason, payload in calls.items():
            await looking(site, reason, "call", partial(site.client.call, payload))
            await looking(site, reason, "stream", partial(site.client.stream, payload))
        for reason, post in POSTS.items():
            await looking(site, reason, "post", partial(site.client.post, post))
        await looking.compare(site, tmp_path)
        answered = [each.totals().successes for _, each in site.replica.ingress.book.items()]
    assert ([], 0) == (looking.wrong, sum(answered))


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize(("scene", "reasons"), SCENES)
async def test_refusals_of_a_scene(
    tmp_path: Path, front: str, scene: Scene, reasons: frozenset[str]
) -> None:
    """Those that need a certain state of the replica."""
    looking = Looking()
    await scene(tmp_path, front, looking)
    assert [] == looking.wrong
    wires = {("MESSAGE_TOO_LARGE", "grpcio")}
    assert {reason for reason in reasons if (reason, front) not in wires} == looking.seen


class Looking:
    """Asks, and keeps what was told otherwise than expected, or counted otherwise than told."""

    def __init__(self) -> None:
        self.wrong: list[str] = []
        self.told = Counter[str]()
        self.seen: set[str] = set()

    async def __call__(self, site: Site, reasons: str, wire: str, ask: Ask) -> None:
        """One refusal; where it takes another request, that one's reason is behind a plus."""
        ingress = site.replica.ingress
        before = in_book(ingress)
        told = await ask()
        reason, *others = reasons.split("+")
        wanted = Counter((reason, *others))
        counted = await settled(ingress, before.total() + wanted.total()) - before
        self.told.update(wanted)
        self.seen.add(reason)
        allowed = [expected(kind, reason, over_http=wire == "post") for kind in CLASSES[reason]] + [
            Told("CANCELLED", "CANCELLED")
        ] * (reason == "CANCELLED")
        if told not in allowed or counted != wanted:
            self.wrong.append(f"{reasons} by {wire}: told {told}, counted {dict(counted)}")

    async def compare(self, site: Site, folder: Path) -> None:
        """What was told is what scrapers and the monitor have, in the end, too."""
        if self.told != (scrape := await scraped(site.replica.metrics_address, ERRORS)):
            self.wrong.append(f"told {self.told - scrape} more, scraped {scrape - self.told} more")
        shown, timed = await monitored(site.replica.ingress, folder / "monitor")
        if not self.told == shown == timed:
            self.wrong.append(f"told {self.told - shown} more, shown {shown - self.told} more")
