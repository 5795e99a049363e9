"""OpenAI's API asks who calls: models are listed for who may see them, and called by who may call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from headrace import errors
from headrace.security.identities import Identity, Proof
from headrace.security.policy import CallLimits, Grant
from tests.rpc.openai_fixtures import CHAT, MODEL, Talking, talking
from tests.security.keyring import Keyring

BODY = {"model": MODEL, "messages": [{"role": "user", "content": "abc"}], "max_tokens": 2}
PATHS = (
    CHAT,
    "/v1/completions",
    "/v1/responses",
    "/v1/embeddings",
    "/v1/rerank",
    "/tokenize",
    "/detokenize",
)


class Issuer:
    """Verifies tokens `SUBJECT.good.N`."""

    def verify(self, token: str) -> Identity:
        """Return whose token it is."""
        subject, word, _ = token.split(".")
        if word != "good":
            raise errors.Unauthenticated("TOKEN_INVALID", "the token's signature is wrong")
        return Identity(f"corp:{subject}", Proof.TOKEN, "corp")


def keyring() -> Keyring:
    """Whoever may call the model, read it, do nothing; and bearers of tokens."""
    caller = (Grant("caller", (MODEL,)),)
    grants = {"caller": caller, "viewer": (Grant("viewer", (MODEL,)),), "new": ()}
    return Keyring({**grants, "corp:ada": caller}, tokens=Issuer())


async def asked(
    here: Talking, path: str, headers: dict[str, str], body: dict[str, Any] | None = None
) -> tuple[int, Any]:
    """The status and the JSON of an answer."""
    verb = "GET" if body is None else "POST"
    data = None if body is None else msgspec.json.encode(body)
    async with here.session.request(verb, path, data=data, headers=headers) as response:
        return response.status, await response.json()


async def test_who_may_call(tmp_path: Path) -> None:
    """On every path of the API; whoever may not is told the same of a model that is not there."""
    keys = keyring()
    async with talking(tmp_path, access=keys.access) as here:
        assert 200 == (await asked(here, CHAT, keys.headers("caller"), BODY))[0]
        for path in PATHS:
            status, answer = await asked(here, path, {}, BODY)
            assert (401, "authentication_error") == (status, answer["error"]["type"])
            for subject in ("viewer", "new"):
                status, answer = await asked(here, path, keys.headers(subject), BODY)
                assert (403, "permission_error") == (status, answer["error"]["type"])
            other = await asked(here, path, keys.headers("caller"), BODY | {"model": "none"})
            assert (403, "PERMISSION_DENIED") == (other[0], other[1]["error"]["reason"])
        wrong = {"Authorization": "Bearer sk-something"}
        status, answer = await asked(here, CHAT, wrong, BODY)
    assert (401, "invalid_api_key") == (status, answer["error"]["code"])


async def test_who_sees_which_models(tmp_path: Path) -> None:
    """Lists leave out what the caller may neither read nor call; by its name it is refused."""
    keys = keyring()
    async with talking(tmp_path, access=keys.access) as here:
        seen = {}
        for subject in ("caller", "viewer", "new"):
            headers = keys.headers(subject)
            status, listed = await asked(here, "/v1/models", headers)
            one, _ = await asked(here, f"/v1/models/{MODEL}", headers)
            seen[subject] = status, len(listed["data"]), one
        assert 401 == (await asked(here, "/v1/models", {}))[0]
    assert {"caller": (200, 2, 200), "viewer": (200, 2, 200), "new": (200, 0, 403)} == seen


async def test_tokens_that_were_not_seen_before(tmp_path: Path) -> None:
    """They are verified first; a wrong one is refused."""
    async with talking(tmp_path, access=keyring().access) as here:
        good = await asked(here, CHAT, {"Authorization": "Bearer ada.good.1"}, BODY)
        wrong = await asked(here, CHAT, {"Authorization": "Bearer ada.bad.1"}, BODY)
    assert (200, 401) == (good[0], wrong[0])


async def test_callers_have_their_limits(tmp_path: Path) -> None:
    """Over them they are told to come again, in a form that clients heed."""
    keys = keyring()
    keys.limit("caller", CallLimits(requests_per_second=1e-6))
    async with talking(tmp_path, access=keys.access) as here:
        first = await asked(here, CHAT, keys.headers("caller"), BODY)
        second = await asked(here, CHAT, keys.headers("caller"), BODY)
    assert (200, 429) == (first[0], second[0])
    error = second[1]["error"]
    assert ("rate_limit_error", "rate_limit_exceeded") == (error["type"], error["code"])
