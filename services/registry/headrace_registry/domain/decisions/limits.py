"""Bounds a catalog's size: every replica keeps all of it in memory."""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import dataclass

from headrace import errors
from headrace.state.catalog import Catalog
from headrace.state.codec import encode_sparse
from headrace.state.records import ModelRecord, VersionRecord

MAX_RECORD_BYTES = 4 << 20
"""Room for the 10,000 files that an archive may have by default, with paths of 300 characters."""


@dataclass(frozen=True, slots=True)
class CatalogLimits:
    """The most models, versions of a model and aliases of a model that there may be.

    With `protect_models`, new models cannot be deleted until somebody takes their protection away.
    """

    models: int = 100_000
    versions_per_model: int = 1_000
    aliases_per_model: int = 1_000
    protect_models: bool = False


DEFAULT_LIMITS = CatalogLimits()


def check_room_for_model(catalog: Catalog, limits: CatalogLimits) -> None:
    """Pass if there may be one model more. Raises ResourceExhausted (TOO_MANY_MODELS)."""
    if _is_full(catalog.models, limits.models):
        raise errors.ResourceExhausted(
            "TOO_MANY_MODELS",
            f"there are {len(catalog.models)} models, and up to {limits.models} are allowed (the "
            "registry's setting max_models): delete some, or raise it",
            facts={"limit": str(limits.models), "setting": "max_models"},
        )


def check_room_for_version(catalog: Catalog, model: str, limits: CatalogLimits) -> None:
    """Pass if a model may have one version more. Raises ResourceExhausted (TOO_MANY_VERSIONS)."""
    present = catalog.numbers_of(model)
    if _is_full(present, limits.versions_per_model):
        raise errors.ResourceExhausted(
            "TOO_MANY_VERSIONS",
            f"model {model!r} has {len(present)} versions, and up to {limits.versions_per_model} are "
            "allowed (the registry's setting max_versions_per_model): delete old ones, or raise it",
            facts={
                "model": model,
                "limit": str(limits.versions_per_model),
                "setting": "max_versions_per_model",
            },
        )


def check_room_for_alias(model: ModelRecord, alias: str, limits: CatalogLimits) -> None:
    """Pass if a model has this alias or may have it. Raises ResourceExhausted (TOO_MANY_ALIASES)."""
    if alias not in model.aliases and _is_full(model.aliases, limits.aliases_per_model):
        raise errors.ResourceExhausted(
            "TOO_MANY_ALIASES",
            f"model {model.name!r} has {len(model.aliases)} aliases, and up to "
            f"{limits.aliases_per_model} are allowed (the registry's setting max_aliases_per_model): "
            "delete some, or raise it",
            facts={
                "model": model.name,
                "limit": str(limits.aliases_per_model),
                "setting": "max_aliases_per_model",
            },
        )


def check_record(version: VersionRecord) -> None:
    """Pass if every replica can keep a version's record. Raises ResourceExhausted (RECORD_TOO_LARGE)."""
    size = len(encode_sparse(version))
    if size > MAX_RECORD_BYTES:
        raise errors.ResourceExhausted(
            "RECORD_TOO_LARGE",
            f"what every replica keeps of the version has {size} bytes: {len(version.files)} files, the "
            f"signature and the serving config; up to {MAX_RECORD_BYTES} are allowed: pack fewer files, "
            "with shorter paths, or give the graph fewer inputs and outputs",
            facts={"limit": str(MAX_RECORD_BYTES)},
        )


def _is_full(present: Sized, limit: int) -> bool:
    return len(present) >= limit
