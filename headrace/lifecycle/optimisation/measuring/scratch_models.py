"""Models that stand for a while beside a model, to measure its candidates; none is left behind."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from headrace import errors

if TYPE_CHECKING:
    from headrace.client import AsyncClient

logger = logging.getLogger(__name__)

OF = "optimise-of"
"""The label with the name of the model whose candidates it has."""
UNTIL = "optimise-until"
"""The label with the second, since the epoch, from which on any optimisation of the model removes it."""
_MIDDLE = "-optimise-"
_LONGEST_NAME = 48
_REMOVAL_SECONDS = 20.0


@asynccontextmanager
async def open_scratch_model(
    client: AsyncClient, model: str, versions: int, seconds: float
) -> AsyncIterator[str]:
    """Create a model that keeps so many versions, and remove it when left, however that is.

    `seconds` is how long it is needed at most: what a killed process left behind is removed by the next one
    after that.
    """
    await remove_left_behind(client, model)
    name = f"{model[:_LONGEST_NAME]}{_MIDDLE}{secrets.token_hex(3)}"
    await client.create_model(
        name,
        description=f"candidates of {model} while they are measured; removed by itself",
        labels={OF: model[:_LONGEST_NAME], UNTIL: str(int(time.time() + seconds))},
        keep_latest=versions,
    )
    try:
        yield name
    finally:
        await asyncio.shield(asyncio.ensure_future(_remove(client, name)))


async def remove_left_behind(client: AsyncClient, model: str) -> list[str]:
    """Remove scratch models of a model whose time is over; gives their names."""
    removed = []
    for each in await client.models():
        of, until = each.labels.get(OF), each.labels.get(UNTIL, "")
        is_over = until.isdigit() and int(until) < time.time()
        if _MIDDLE in each.name and of == model[:_LONGEST_NAME] and is_over:
            await _remove(client, each.name)
            removed.append(each.name)
    return removed


async def _remove(client: AsyncClient, name: str) -> None:
    try:
        async with asyncio.timeout(_REMOVAL_SECONDS):
            with suppress(errors.NotFound):
                await client.delete_model(name, force=True)
    except (errors.HeadraceError, TimeoutError) as error:
        logger.warning(
            "a scratch model could not be removed; `headrace delete` does",
            extra={"model": name, "error": str(error)},
        )
