"""Tells of grants that nobody is asked for: a replica without authentication beside others that have it."""

from __future__ import annotations

import logging

from headrace.state.catalog import Catalog
from headrace.state.record_collections import BINDINGS

logger = logging.getLogger(__name__)


class UnaskedRights:
    """Warns once of a state with grants; for replicas that ask nobody who he is."""

    def __init__(self) -> None:
        self._is_told = False

    def look(self, catalog: Catalog) -> None:
        """Look at a state."""
        if self._is_told or not catalog.of(BINDINGS):
            return
        self._is_told = True
        logger.warning(
            "keys and roles were granted, and nobody is asked for them here: whoever reaches this process "
            "may do everything; start it with --auth=on"
        )
