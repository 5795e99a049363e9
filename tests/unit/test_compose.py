"""The files for compose set what there is: every variable is a setting of the process that gets it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from headrace.settings import read
from headrace_inference.settings import Settings as InferenceSettings
from headrace_monitor.settings import Settings as MonitorSettings
from headrace_registry.settings import Settings as RegistrySettings

DEPLOY = Path(__file__).parents[2] / "deploy"
IMAGE = {"HEADRACE_DATA": "/data"}
"""What the image sets for every process."""
SERVICES: Mapping[str, tuple[str, Any]] = {
    "registry": ("registry", RegistrySettings),
    "monitor": ("monitor", MonitorSettings),
    "replica-0": ("inference", InferenceSettings),
    "replica-1": ("inference", InferenceSettings),
}


def services(*files: str) -> dict[str, dict[str, Any]]:
    """The services of these files, of which later ones are laid over earlier ones."""
    merged: dict[str, dict[str, Any]] = {}
    for file in files:
        for name, service in yaml.safe_load((DEPLOY / file).read_text())["services"].items():
            before = merged.setdefault(name, {})
            variables = {**before.get("environment", {}), **service.get("environment", {})}
            volumes = [*before.get("volumes", []), *service.get("volumes", [])]
            merged[name] = {**before, **service, "environment": variables, "volumes": volumes}
    return merged


@pytest.mark.parametrize("files", [("compose.yaml",), ("compose.yaml", "compose.secure.yaml")])
@pytest.mark.parametrize("name", SERVICES)
def test_every_variable_is_a_setting(files: tuple[str, ...], name: str, tmp_path: Path) -> None:
    """The service's own class reads all of them, and each is one of its fields."""
    service, settings = SERVICES[name]
    variables = services(*files)[name].get("environment", {})
    ours = {key: str(value) for key, value in variables.items() if key.startswith("HEADRACE_")}
    ours = {key: in_folder(value, tmp_path) for key, value in ours.items()}
    chosen = read(settings, service, [], IMAGE | ours)

    for key, value in ours.items():
        assert value == str(getattr(chosen, key.removeprefix("HEADRACE_").lower()))


def in_folder(value: str, folder: Path) -> str:
    """A mounted file's path, as one that is there."""
    if not value.startswith("/run/"):
        return value
    file = folder / value.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("content")
    return str(file)


def test_over_tls_every_file_is_mounted_and_no_secret_is_in_a_variable() -> None:
    """What settings name lies in the container, read-only."""
    for name, service in services("compose.yaml", "compose.secure.yaml").items():
        mounted = {each.split(":")[1] for each in service["volumes"] if each.endswith(":ro")}
        values = [*map(str, service["environment"].values()), *service.get("command", [])]
        named = {value for value in values if value.startswith(("/run/headrace", "/etc/"))}
        assert named
        assert named == mounted, name
