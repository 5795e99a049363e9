"""Runs of models are for those who may ask for them: alike over every wire, on either front."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import grpc
import numpy as np
import pytest
import tritonclient.grpc.aio as triton_grpc
import tritonclient.http.aio as triton_http

from headrace.security.access import Access
from headrace.security.api_keys import make_key
from headrace.security.policy import Grant
from tests.rpc.grpc_fixtures import FRONTS, GrpcReplica
from tests.security.asked_models import (
    IDS,
    OURS,
    THEIRS,
    UNKNOWN,
    WAYS,
    Headers,
    Stream,
    open_models,
    outcome,
)
from tests.security.keyring import Keyring

ways = pytest.mark.parametrize(("front", "wire"), WAYS, ids=IDS)
fronts = pytest.mark.parametrize("front", FRONTS)

OK = ("OK", "", "")


def keyring() -> Keyring:
    """Our team's key, theirs, and one of somebody without a grant."""
    return Keyring(
        {"ours": (Grant("caller", (OURS,)),), "theirs": (Grant("caller", (THEIRS,)),), "new": ()}
    )


@ways
async def test_a_key_calls_its_own_models_and_no_others(
    tmp_path: Path, front: str, wire: str
) -> None:
    """An alias is of its model; a model of others and one that is not there are refused alike."""
    keys = keyring()
    async with open_models(tmp_path, keys.access, front) as replica:

        async def as_us(model: str) -> tuple[str, str, str]:
            return await outcome(replica, wire, model, keys.metadata("ours"))

        assert await as_us(OURS) == OK
        assert await as_us(OURS) == OK  # what was decided is remembered
        assert await as_us(f"{OURS}@champion") == OK
        for model in (THEIRS, UNKNOWN, f"{THEIRS}@champion"):
            code, reason, message = await as_us(model)
            name = model.partition("@")[0]
            assert (code, reason) == ("PERMISSION_DENIED", "PERMISSION_DENIED")
            assert message.replace(name, "NAME") == (
                "ours has not the right 'infer' for model 'NAME', if there is one; an admin can grant it: "
                "headrace grant ours ROLE --models NAME"
            )
        status, reason, _ = await outcome(replica, wire, OURS, keys.metadata("new"))
        assert (status, reason) == ("PERMISSION_DENIED", "PERMISSION_DENIED")


BAD: list[tuple[str, Headers, str]] = [
    ("none", [], "CREDENTIALS_MISSING"),
    ("unknown", [("authorization", f"Bearer {make_key()}")], "API_KEY_INVALID"),
    ("typo", [("authorization", f"Bearer {make_key()[:-1]}~")], "API_KEY_INVALID"),
    ("scheme", [("authorization", "Basic YTpi")], "CREDENTIALS_MALFORMED"),
    ("jwt", [("authorization", "Bearer e30.e30.e30")], "TOKEN_INVALID"),
    ("long", [("authorization", "Bearer " + "x" * 33_000)], "CREDENTIALS_MALFORMED"),
    ("forged", [("x-forwarded-client-cert", "URI=spiffe://a/ours")], "CREDENTIALS_MISSING"),
    ("claimed", [("x-headrace-actor", "ours")], "CREDENTIALS_MISSING"),
]


@ways
async def test_who_is_not_known_is_told_so(tmp_path: Path, front: str, wire: str) -> None:
    """Whatever proves nothing is UNAUTHENTICATED, with what is wrong with it."""
    async with open_models(tmp_path, keyring().access, front) as replica:
        for model in (OURS, UNKNOWN):
            for name, headers, expected in BAD * 2:
                status, reason, message = await outcome(replica, wire, model, headers)
                assert (status, reason) == ("UNAUTHENTICATED", expected), name
                assert model not in message


@ways
async def test_two_tokens_prove_nothing(tmp_path: Path, front: str, wire: str) -> None:
    """A good token beside another is no proof, in either order, also once the good one is known."""
    keys = keyring()
    good, other = keys.metadata("ours"), keys.metadata("theirs")
    async with open_models(tmp_path, keys.access, front) as replica:
        assert await outcome(replica, wire, OURS, good) == OK
        for headers in (good + other, other + good, good + good):
            status, _, _ = await outcome(replica, wire, OURS, headers)
            assert status in ("UNAUTHENTICATED", "INVALID_ARGUMENT")


@ways
async def test_a_revoked_key_calls_nothing_any_more(tmp_path: Path, front: str, wire: str) -> None:
    """What was decided before a key was revoked, or a grant taken, is void."""
    keys = keyring()
    ours = keys.metadata("ours")
    async with open_models(tmp_path, keys.access, front) as replica:
        assert await outcome(replica, wire, OURS, ours) == OK
        keys.grant("ours")
        assert (await outcome(replica, wire, OURS, ours))[0] == "PERMISSION_DENIED"
        keys.grant("ours", Grant("caller"))
        assert await outcome(replica, wire, OURS, ours) == OK
        keys.revoke("ours")
        assert (await outcome(replica, wire, OURS, ours))[:2] == (
            "UNAUTHENTICATED",
            "API_KEY_INVALID",
        )


@ways
async def test_a_key_ends_at_its_time(tmp_path: Path, front: str, wire: str) -> None:
    """A token that was good is refused from the moment on at which it ends."""
    now = [1000.0]
    keys = Keyring({"ours": (Grant("caller"),)}, now=lambda: now[0])
    keys.expire("ours", 2000.0)
    async with open_models(tmp_path, keys.access, front) as replica:
        assert await outcome(replica, wire, OURS, keys.metadata("ours")) == OK
        now[0] = 2000.0
        replica.ingress.callers.access.forget()  # else it is remembered for a minute of the real clock
        status, reason, _ = await outcome(replica, wire, OURS, keys.metadata("ours"))
        assert (status, reason) == ("UNAUTHENTICATED", "API_KEY_EXPIRED")


@fronts
async def test_each_request_of_a_stream_is_checked(tmp_path: Path, front: str) -> None:
    """One that may not be is refused in its place, and the stream goes on."""
    keys = keyring()
    async with open_models(tmp_path, keys.access, front) as replica:
        stream = Stream(replica, keys.metadata("ours"))
        assert await stream.ask(OURS) == ""
        assert "has not the right 'infer'" in await stream.ask(THEIRS)
        assert await stream.ask(OURS) == ""
        keys.grant("ours", Grant("caller", (THEIRS,)))
        assert "has not the right 'infer'" in await stream.ask(OURS)
        keys.revoke("ours")
        assert "there is no API key" in await stream.ask(OURS)
        assert await stream.end() is grpc.StatusCode.OK


@ways
async def test_anonymous_callers_may_what_was_granted_to_them(
    tmp_path: Path, front: str, wire: str
) -> None:
    """A grant to `anonymous` is for those who bring nothing."""
    keys = keyring()
    keys.grant("anonymous", Grant("caller", (OURS,)))
    async with open_models(tmp_path, keys.access, front) as replica:
        assert await outcome(replica, wire, OURS, []) == OK
        assert (await outcome(replica, wire, THEIRS, []))[0] == "UNAUTHENTICATED"


@ways
async def test_before_rights_are_read_callers_are_told_to_come_back(
    tmp_path: Path, front: str, wire: str
) -> None:
    """A key may be good: nobody can tell, so it is UNAVAILABLE, and nothing is open meanwhile."""
    keys = keyring()
    access = Access()
    async with open_models(tmp_path, access, front) as replica:
        for headers in (keys.metadata("ours"), []):
            status, reason, _ = await outcome(replica, wire, OURS, headers)
            assert (status, reason) == ("UNAVAILABLE", "RIGHTS_UNKNOWN")
        access.rights = keys.access.rights
        assert await outcome(replica, wire, OURS, keys.metadata("ours")) == OK


@ways
async def test_each_refusal_is_counted_once(tmp_path: Path, front: str, wire: str) -> None:
    """What callers are told is what is counted: at the model where there is one, never at made-up names."""
    keys = keyring()
    async with open_models(tmp_path, keys.access, front) as replica:
        for model in (OURS, THEIRS, UNKNOWN):
            await outcome(replica, wire, model, keys.metadata("ours"))
            if wire != "stream":  # a stream of nobody's ends before its first request
                await outcome(replica, wire, model, [])
        assert _refusals(replica) == Counter(
            {(THEIRS, "PERMISSION_DENIED"): 1, ("", "PERMISSION_DENIED"): 1}
            | (
                {}
                if wire == "stream"
                else {(model, "CREDENTIALS_MISSING"): 1 for model in (OURS, THEIRS, "")}
            )
        )


def _refusals(replica: GrpcReplica) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    for (model, _), counters in replica.ingress.book.items():
        for reason, count in counters.totals().errors.items():
            found[model, reason] += count
    return found


@fronts
async def test_triton_clients_bring_their_key(tmp_path: Path, front: str) -> None:
    """Triton's own clients call with a header."""
    keys = keyring()
    values = np.ones(2, np.float32)
    async with open_models(tmp_path, keys.access, front) as replica:
        headers = keys.headers("ours")
        for module, address in (
            (triton_grpc, replica.grpc_address),
            (triton_http, replica.http_address),
        ):
            given = module.InferInput("x", [2], "FP32")
            given.set_data_from_numpy(values)
            async with module.InferenceServerClient(address) as client:
                answer = await client.infer(OURS, [given], headers=headers)
                assert answer.as_numpy("y").tolist() == values.tolist()
                assert await client.is_server_live()
                assert await client.is_model_ready(OURS, headers=headers)
