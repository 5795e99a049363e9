"""The serving config of a candidate: its parent's, with batching as the candidate allows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.protobuf import json_format

from headrace.conversion import serving_config_to_proto
from headrace.state.records import ServingConfig

if TYPE_CHECKING:
    from pathlib import Path

    from headrace.client import AsyncClient, Version


async def push_carried(
    client: AsyncClient,
    model: str,
    folder: Path,
    parent: ServingConfig,
    *,
    insist: bool,
    **options: Any,
) -> Version:
    """Push a folder with the config of its parent.

    Whether it batches is what the registry proves of its own graph, or what was insisted on for the
    parent, if `insist`; where both batch, as many rows as the parent's.
    """
    config = carried_config(parent, insist=insist)
    version = await client.push(model, folder, config=config, **options)
    rows, wanted = version.config.batching.max_batch_size, parent.batching.max_batch_size
    if rows in (0, wanted) or not wanted:
        return version
    again = carried_config(parent, insist=True)
    made = await client.push(model, folder, config=again, **options)
    await client.delete_version(model, version.number)
    return made


def carried_config(parent: ServingConfig, *, insist: bool) -> dict[str, Any]:
    """All of a config, but for batching that the registry decides itself unless it is insisted on."""
    config = json_format.MessageToDict(
        serving_config_to_proto(parent), preserving_proto_field_name=True
    )
    if parent.batching.max_batch_size and not insist:
        config.pop("batching", None)
    return config
