"""Takes in keys that were left in the data folder, while the registry runs."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from pathlib import Path

from headrace import errors
from headrace.state.access_inbox import BOOTSTRAP, FOLDER, PostedKey, posted
from headrace_registry.domain.catalog_store import CatalogStore
from headrace_registry.domain.resources.bootstrap import is_known, take_key

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0


async def take_in_for_ever(data: Path, store: CatalogStore) -> None:
    """Take in what is left in the data folder, now and each second; what cannot be taken is told once."""
    told = ""
    while True:
        try:
            await take_in(data, store)
            told = ""
        except (OSError, errors.HeadraceError) as error:
            if str(error) != told:
                logger.warning("a key that was left in %s waits: %s", data / FOLDER, error)
            told = str(error)
        await asyncio.sleep(LOOK_SECONDS)


async def take_in(data: Path, store: CatalogStore) -> None:
    """Take in what is left there, a change for each key. Raises OSError, HeadraceError."""
    for path, key in posted(data):
        await _take(store, key)
        path.unlink(missing_ok=True)


async def _take(store: CatalogStore, key: PostedKey) -> None:
    if is_known(await store.latest(), key):
        return
    change = await store.change("", partial(take_key, posted=key), BOOTSTRAP)
    facts = {"key": key.id, "subject": key.subject, "revision": change.revision}
    logger.info("took in an API key from the data folder", extra=facts)
