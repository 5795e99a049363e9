"""Takes in keys that were left in the data folder, while the registry runs."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from pathlib import Path

from headrace import errors
from headrace.state.access_inbox import BOOTSTRAP, FOLDER, PostedKey, posted
from headrace.state.record_collections import API_KEYS
from headrace_registry.domain.catalog_store import CatalogStore
from headrace_registry.domain.resources.admins import has_admin
from headrace_registry.domain.resources.bootstrap import is_known, take_key

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0


class AccessInbox:
    """The keys that are left in one data folder."""

    def __init__(self, data: Path, store: CatalogStore) -> None:
        self._data = data
        self._store = store
        self._told = ""

    async def take_in_for_ever(self) -> None:
        """Take in what is left there, each second."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self.look()

    async def look(self) -> None:
        """Take in what is left there; what cannot be taken now is told once, and stays."""
        try:
            await take_in(self._data, self._store)
            self._told = ""
        except (OSError, errors.HeadraceError) as error:
            if str(error) != self._told:
                logger.warning("a key that was left in %s waits: %s", self._data / FOLDER, error)
            self._told = str(error)

    def advise(self, *, is_on: bool) -> None:
        """Warn where nobody could grant anything, or where keys were made and nobody is asked for one."""
        catalog = self._store.read()
        if is_on and not has_admin(catalog):
            logger.warning(
                "nobody is admin of all models, so nobody can grant anything: make a key with "
                "`headrace keys create NAME --admin --data %s`",
                self._data,
            )
        if not is_on and catalog.of(API_KEYS):
            logger.warning(
                "there are API keys, but nobody is asked for one: whoever reaches this registry may do "
                "anything, and make keys; --auth on (`headrace up --auth`) has callers asked"
            )


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
