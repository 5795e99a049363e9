"""JWTs are verified where that holds up nobody; those that were verified are known."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from headrace import errors
from headrace.security.identities import Identity, Proof
from headrace.security.policy import Grant
from tests.security.asked_models import IDS, OURS, THEIRS, WAYS, Stream, open_models, outcome
from tests.security.keyring import Keyring

ways = pytest.mark.parametrize(("front", "wire"), WAYS, ids=IDS)
MAX_NEW = 64
"""Tokens that may wait, of the 200 of a flood."""


class SlowIssuer:
    """Verifies tokens `SUBJECT.good.N`, one after the other, while its gate is open."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.verified = 0

    def verify(self, token: str) -> Identity:
        """Return whose token it is."""
        self.gate.wait()
        self.verified += 1
        subject, word, _ = token.split(".")
        if word != "good":
            raise errors.Unauthenticated("TOKEN_INVALID", "the token's signature is wrong")
        return Identity(f"corp:{subject}", Proof.TOKEN, "corp")


def _keys(issuer: SlowIssuer) -> Keyring:
    grants = (Grant("caller", (OURS,)),)
    return Keyring({"ours": grants, "corp:ada": grants}, tokens=issuer)


def _bearer(token: str) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {token}")]


@ways
async def test_a_token_is_verified_once(tmp_path: Path, front: str, wire: str) -> None:
    """Its calls that come meanwhile wait for that; what it may is decided as for a key."""
    issuer = SlowIssuer()
    issuer.gate.clear()
    async with open_models(tmp_path, _keys(issuer).access, front) as replica:
        asking = [
            asyncio.ensure_future(outcome(replica, wire, OURS, _bearer("ada.good.1")))
            for _ in range(8)
        ]
        issuer.gate.set()
        assert await asyncio.gather(*asking) == [("OK", "", "")] * 8
        assert issuer.verified == 1
        denied = await outcome(replica, wire, THEIRS, _bearer("ada.good.1"))
        assert denied[1] == "PERMISSION_DENIED"
        for _ in range(2):
            refused = await outcome(replica, wire, OURS, _bearer("ada.bad.1"))
            assert refused[:2] == ("UNAUTHENTICATED", "TOKEN_INVALID")
        assert issuer.verified == 2


@pytest.mark.parametrize(("front", "wire"), WAYS[:4], ids=IDS[:4])
async def test_a_flood_of_bad_tokens_holds_up_nobody_who_is_known(
    tmp_path: Path, front: str, wire: str
) -> None:
    """As many as may wait do, the others are told to come back; known callers are answered meanwhile."""
    issuer = SlowIssuer()
    keys = _keys(issuer)
    ours = keys.metadata("ours")
    async with open_models(tmp_path, keys.access, front, max_new_tokens=MAX_NEW) as replica:
        assert await outcome(replica, wire, OURS, ours) == ("OK", "", "")
        assert await outcome(replica, wire, OURS, _bearer("ada.good.1")) == ("OK", "", "")
        issuer.gate.clear()
        flood = [
            asyncio.ensure_future(outcome(replica, "unary", OURS, _bearer(f"eve.bad.{number}")))
            for number in range(200)
        ]
        await asyncio.wait(flood, return_when=asyncio.FIRST_COMPLETED)
        for headers in (ours, _bearer("ada.good.1")) * 5:
            assert await outcome(replica, wire, OURS, headers) == ("OK", "", "")
        issuer.gate.set()
        answers = await asyncio.gather(*flood)
        assert {answer[1] for answer in answers} == {"TOKEN_INVALID", "TOO_MANY_NEW_TOKENS"}
        assert sum(answer[1] == "TOKEN_INVALID" for answer in answers) >= MAX_NEW


async def test_a_token_is_verified_again_when_issuers_change(tmp_path: Path) -> None:
    """An open stream's token is known no more once its issuer is not believed."""
    issuer = SlowIssuer()
    keys = _keys(issuer)
    async with open_models(tmp_path, keys.access, "native") as replica:
        stream = Stream(replica, _bearer("ada.good.1"))
        assert await stream.ask(OURS) == ""
        keys.access.forget()
        assert await stream.ask(OURS) == ""
        assert issuer.verified == 2
