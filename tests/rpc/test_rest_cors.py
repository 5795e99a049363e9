"""Pages of other origins call over REST where they are allowed to, as browsers ask for it."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from headrace.datatypes import Datatype
from headrace_inference.settings import Settings
from tests.rpc.grpc_fixtures import open_grpc_replica
from tests.rpc.rest_fixtures import ECHO, GOOD, echo

HERE, THERE = "https://app.example.org", "http://localhost:3000"
EXPOSED = "Inference-Header-Content-Length, Retry-After, Retry-After-Ms, X-Request-Id, OpenAI-Processing-Ms"
ALLOW = "Access-Control-Allow-"
ASKS = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "content-type,inference-header-content-length",
}


async def asked(
    folder: Path,
    origins: tuple[str, ...],
    origin: str | None,
    method: str = "POST",
    path: str = ECHO,
) -> tuple[int, dict[str, str]]:
    """The status and the headers about origins of an answer to a page; OPTIONS asks whether it may call."""
    headers = {"Origin": origin} if origin else {}
    asks = method == "OPTIONS"
    async with (
        open_grpc_replica(folder, echo(Datatype.FP32), cors_origins=origins) as replica,
        aiohttp.ClientSession() as session,
        session.request(
            method,
            f"http://{replica.http_address}{path}",
            json=None if asks else GOOD,
            headers=headers | (ASKS if asks else {}),
        ) as response,
    ):
        told = {
            key: value
            for key, value in response.headers.items()
            if key.startswith("Access-Control-") or key == "Vary"
        }
        return response.status, told


async def test_nobody_is_allowed_by_default(tmp_path: Path) -> None:
    """No header tells a browser anything."""
    assert (200, {}) == await asked(tmp_path, (), HERE)
    assert (405, {}) == await asked(tmp_path, (), HERE, "OPTIONS")


async def test_a_page_of_an_origin_that_is_allowed(tmp_path: Path) -> None:
    """It may call, with credentials, and read the binary extension's header."""
    status, told = await asked(tmp_path, (THERE, HERE), HERE)
    assert 200 == status
    assert {
        f"{ALLOW}Origin": HERE,
        f"{ALLOW}Credentials": "true",
        "Access-Control-Expose-Headers": EXPOSED,
        "Vary": "Origin",
    } == told


async def test_a_browser_asks_first(tmp_path: Path) -> None:
    """Method and headers, those of the binary extension too, are allowed for a while."""
    status, told = await asked(tmp_path, (HERE,), HERE, "OPTIONS")
    assert 204 == status
    assert HERE == told[f"{ALLOW}Origin"]
    assert "POST" in told[f"{ALLOW}Methods"]
    assert ASKS["Access-Control-Request-Headers"] == told[f"{ALLOW}Headers"]
    assert "600" == told["Access-Control-Max-Age"]


@pytest.mark.parametrize("origin", ["https://evil.example.org", f"{HERE}.evil.org", "null"])
async def test_another_origin_is_told_nothing(tmp_path: Path, origin: str) -> None:
    """Its browser keeps the answer from it; caches keep the answers apart."""
    assert (200, {"Vary": "Origin"}) == await asked(tmp_path, (HERE,), origin)
    assert (405, {"Vary": "Origin"}) == await asked(tmp_path, (HERE,), origin, "OPTIONS")


async def test_all_origins_are_allowed_without_credentials(tmp_path: Path) -> None:
    """A star, and nothing that depends on the origin."""
    status, told = await asked(tmp_path, ("*",), THERE)
    assert 200 == status
    assert "*" == told[f"{ALLOW}Origin"]
    assert not {f"{ALLOW}Credentials", "Vary"} & set(told)


async def test_a_page_may_read_errors(tmp_path: Path) -> None:
    """What is refused says so to the page, too."""
    status, told = await asked(tmp_path, (HERE,), HERE, path="/v2/models/nobody/infer")
    assert (404, HERE) == (status, told[f"{ALLOW}Origin"])


async def test_a_caller_that_is_no_browser(tmp_path: Path) -> None:
    """It names no origin and hears of none."""
    assert (200, {}) == await asked(tmp_path, (HERE,), None)


@pytest.mark.parametrize("origin", ["example.org", "https://example.org/", "https://a b", ""])
def test_what_is_no_origin_is_refused(origin: str) -> None:
    """A replica that would allow nobody by mistake does not start."""
    with pytest.raises(ValueError, match="--cors-origins"):
        Settings(Path("data"), "redis://a", "a", cors_origins=(origin,))
