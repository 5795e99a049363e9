"""The limits that the settings name, as the parts that keep them want them."""

from __future__ import annotations

from headrace.machine.memory import usable_memory_bytes
from headrace_registry.adapters.checks.limits import CheckLimits
from headrace_registry.domain.decisions.limits import CatalogLimits
from headrace_registry.domain.pushes.uploads import UploadLimits
from headrace_registry.settings import Settings


def catalog_limits(settings: Settings) -> CatalogLimits:
    return CatalogLimits(
        models=settings.max_models,
        versions_per_model=settings.max_versions_per_model,
        aliases_per_model=settings.max_aliases_per_model,
        protect_models=settings.protect_models,
    )


def upload_limits(settings: Settings) -> UploadLimits:
    return UploadLimits(
        pushes=settings.max_pushes,
        staged_bytes=settings.max_staged_bytes,
        idle_seconds=settings.upload_idle_seconds,
    )


def check_limits(settings: Settings) -> CheckLimits:
    return CheckLimits(
        seconds=settings.check_seconds,
        memory_bytes=settings.check_memory_bytes,
        unpacked_bytes=settings.max_unpacked_bytes,
        files=settings.max_artifact_files,
        expansion=settings.max_expansion,
        at_a_time=settings.checks_at_a_time,
        trial_seconds=settings.trial_seconds,
        machine_bytes=usable_memory_bytes(),
        custom_operators=settings.custom_operators,
    )
