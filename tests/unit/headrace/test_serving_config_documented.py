"""docs/serving-config.md has every field of the serving config, and every option of a provider."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from headrace.conversion.provider_options import KNOWN
from headrace.type.v1 import serving_config_pb2

PAGE = (Path(__file__).parents[3] / "docs" / "serving-config.md").read_text(encoding="utf-8")
TABLE = re.compile(r"<!-- provider options -->\n(.*?)<!-- end of provider options -->", re.DOTALL)
OWN_MESSAGES = {
    "Batching",
    "Encoding",
    "Generation",
    "Priorities",
    "ProviderOptions",
    "Queue",
    "Sampling",
    "Session",
    "Shapes",
    "WarmUp",
}


def test_every_field_has_a_row() -> None:
    """By its path, with the fields of a section each for itself."""
    found = re.findall(r"`([a-z_.]+)`", "".join(re.findall(r"^\| (`[^|]*) \|", PAGE, re.MULTILINE)))
    paths = set(_paths(serving_config_pb2.ServingConfig.DESCRIPTOR, ""))
    assert set() == paths - set(found)


def test_every_option_of_a_provider_has_a_row() -> None:
    """With the values that it takes."""
    expected = [
        f"| {provider} | `{name}` | {values.told} |"
        for provider, options in KNOWN.items()
        for name, values in options.items()
    ]
    (table,) = TABLE.findall(PAGE)
    assert expected == table.splitlines()[2:]


def _paths(descriptor: Any, prefix: str) -> Iterator[str]:
    for field in descriptor.fields:
        path = f"{prefix}.{field.name}".removeprefix(".")
        message = field.message_type
        if message is not None and message.name in OWN_MESSAGES and not field.is_repeated:
            yield from _paths(message, path)
        else:
            yield path
