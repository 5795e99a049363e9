"""Renders manifests by helm and kubectl, and finds their parts."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
CHART = ROOT / "deploy" / "helm" / "headrace"
TOOLS = Path(sys.prefix) / "helm"
VALUES = {
    "example": ROOT / "examples" / "kubernetes" / "values.yaml",
    **{path.stem.removesuffix("-values"): path for path in sorted((CHART / "ci").glob("*.yaml"))},
}
"""Sets of values by name."""
NAMESPACE = "models"

needs_tools = [
    pytest.mark.toolchain,
    pytest.mark.skipif(
        not (TOOLS / "validator").exists(), reason="scripts/install_helm.sh was not run"
    ),
]

Manifest = Mapping[str, Any]


def run(tool: str, *arguments: str, text: str = "", fails: bool = False) -> str:
    """What a tool prints; of one that has to fail, what it says about that."""
    ran = subprocess.run(
        [TOOLS / tool, *arguments], input=text, capture_output=True, text=True, check=False
    )
    assert fails == bool(ran.returncode), ran.stdout + ran.stderr
    return ran.stderr if fails else ran.stdout + ran.stderr


def values_file(name: str) -> str:
    """The option that has helm take a set of values."""
    return f"--values={VALUES[name]}"


def rendered(values: str, *more: str) -> str:
    """The chart's manifests as text."""
    arguments = ["template", "trial", str(CHART), f"--namespace={NAMESPACE}", *more]
    return run("helm", *arguments, values_file(values))


def manifests(text: str) -> list[Manifest]:
    """The manifests of a text."""
    return [each for each in yaml.safe_load_all(text) if each]


def of_kind(found: Sequence[Manifest], *kinds: str) -> dict[str, Manifest]:
    """Those of these kinds by the component that they are of."""
    return {
        each["metadata"]["labels"]["app.kubernetes.io/component"]: each
        for each in found
        if each["kind"] in kinds
    }


def pods(found: Sequence[Manifest]) -> dict[str, Manifest]:
    """The specs of pods by component."""
    workloads = of_kind(found, "Deployment", "StatefulSet")
    return {name: each["spec"]["template"]["spec"] for name, each in workloads.items()}


def containers(found: Sequence[Manifest]) -> dict[str, Manifest]:
    """The one container of each component."""
    return {name: pod["containers"][0] for name, pod in pods(found).items()}


def ports_of(policy: Sequence[Manifest]) -> Iterator[int]:
    """All TCP ports in the rules of a policy."""
    for rule in policy:
        for port in rule["ports"]:
            if port["protocol"] == "TCP":
                yield port["port"]
