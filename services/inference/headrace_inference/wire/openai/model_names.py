"""Reads a request's `model`: `model`, `model@alias`, `model/3`, or a served name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class AskedModel:
    """The model that a request means by its `model`."""

    name: str
    """A model's name, or `name@alias`."""
    version: str = ""
    """A number; '' leaves it to the route."""


@dataclass(frozen=True, slots=True)
class ServedNames:
    """Names of other suites' models, such as `gpt-4o`, that stand for models here."""

    names: Mapping[str, str] = field(default_factory=dict)

    def asked(self, text: str) -> AskedModel:
        """Read a `model`. A name never has a slash, so what follows one is a version."""
        name, _, version = self.names.get(text, text).partition("/")
        return AskedModel(name, version)
