"""Versions with all that is known of them, as several commands show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headrace.client import AsyncClient
    from headrace.lifecycle.versions.comparison import Described


async def described(client: AsyncClient, model: str, version: int) -> Described:
    """A version, what is said of it, and its reference if it has one. Raises HeadraceError."""
    from headrace.errors import NotFound
    from headrace.lifecycle.versions.comparison import Described

    try:
        reference = await client.reference(model, version)
    except NotFound as error:
        if error.reason != "REFERENCE_NOT_FOUND":
            raise
        reference = None
    return Described(
        await client.version(model, version), await client.annotations(model, version), reference
    )
