"""Calls that bring one token, before it is known, wait for one verification."""

from __future__ import annotations

import asyncio

import pytest

from headrace import errors
from headrace.security.access import Rights
from headrace.security.credentials import Credentials
from headrace.security.verifications import MAX_WAITING
from headrace.service.authentication import Authentication
from tests.security.keyring import Keyring
from tests.security.test_replica_tokens import SlowIssuer


def _credentials(token: str) -> Credentials:
    return Credentials(f"Bearer {token}")


async def test_many_calls_of_one_new_token_are_all_let_in() -> None:
    """A client that begins with more calls than tokens may wait is one caller with one token."""
    issuer = SlowIssuer()
    authentication = Authentication(Keyring({}, tokens=issuer).access)
    same = [authentication.identify(_credentials("ada.good.1")) for _ in range(MAX_WAITING + 10)]
    found = await asyncio.gather(*same)
    assert {identity.subject for identity in found} == {"corp:ada"}
    assert issuer.verified == 1


async def test_one_that_leaves_takes_nothing_from_the_others() -> None:
    """A call that is cancelled while its token is verified ends alone."""
    issuer = SlowIssuer()
    issuer.gate.clear()
    access = Keyring({}, tokens=issuer).access
    access.rights = Rights()
    authentication = Authentication(access)
    leaves, stays = (
        asyncio.ensure_future(authentication.identify(_credentials("ada.good.1"))) for _ in "ab"
    )
    await asyncio.sleep(0)
    leaves.cancel()
    issuer.gate.set()
    assert (await stays).subject == "corp:ada"
    with pytest.raises(asyncio.CancelledError):
        await leaves


async def test_as_many_tokens_may_wait_and_no_more() -> None:
    """The next one is told to come back."""
    issuer = SlowIssuer()
    issuer.gate.clear()
    authentication = Authentication(Keyring({}, tokens=issuer).access)
    waiting = [
        asyncio.ensure_future(authentication.identify(_credentials(f"ada.good.{number}")))
        for number in range(MAX_WAITING)
    ]
    await asyncio.sleep(0)
    with pytest.raises(errors.ResourceExhausted, match="wait to be verified"):
        await authentication.identify(_credentials("ada.good.more"))
    issuer.gate.set()
    assert len(await asyncio.gather(*waiting)) == MAX_WAITING
