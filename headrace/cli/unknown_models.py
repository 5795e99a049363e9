"""Names that were mistyped: the monitor has no figures of them, and the registry knows none such."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace.errors import HeadraceError, NotFound

if TYPE_CHECKING:
    from headrace.client import AsyncClient

REGISTRY_SECONDS = 3.0


async def refuse_unknown(client: AsyncClient, model: str, version: int = 0) -> None:
    """Ask the registry about a model without figures. Raises NotFound where there is none.

    A registry that cannot be asked is no reason to fail: the monitor answers without it, too.
    """
    try:
        if version:
            await client.version(model, version, timeout_seconds=REGISTRY_SECONDS)
        else:
            await client.model(model, timeout_seconds=REGISTRY_SECONDS)
    except NotFound:
        raise
    except HeadraceError:
        return
