"""The plain manifests and KServe's runtime."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from headrace.settings import read
from headrace_inference.settings import Settings
from tests.e2e.kubernetes.manifests import ROOT, manifests, needs_tools, run

pytestmark = needs_tools
KSERVE = ROOT / "deploy" / "kserve"


def test_plain_manifests_are_valid(tmp_path: Any) -> None:
    """`kubectl kustomize` puts them together, and Kubernetes knows every field."""
    (tmp_path / "all.yaml").write_text(run("kubectl", "kustomize", str(ROOT / "deploy/kubernetes")))
    said = run("validator/bin/kubernetes-validate", "--strict", str(tmp_path / "all.yaml"))

    assert "Couldn't find" not in said


def test_the_runtime_starts_what_there_is() -> None:
    """KServe's container runs `headrace serve-folder` with options that it has."""
    (runtime,) = manifests(run("kubectl", "kustomize", str(KSERVE)))
    (container,) = runtime["spec"]["containers"]
    command, folder, *options = container["args"]

    assert ["headrace"] == container["command"]
    assert ("serve-folder", "/mnt/models") == (command, folder)
    settings = read(Settings, "inference", [f"--model-folder={folder}", *options], {})
    assert (8080, 9000, 8002) == (settings.http_port, settings.grpc_port, settings.metrics_port)
    assert "{{.Name}}" == settings.model_name
    assert "8002" == runtime["spec"]["annotations"]["prometheus.kserve.io/port"]


@pytest.mark.parametrize("name", ["inference-service.yaml", "inference-service-grpc.yaml"])
def test_services_ask_for_the_runtime(name: str) -> None:
    """The examples name the runtime, a format and a protocol that it has, and its port."""
    runtime = yaml.safe_load((KSERVE / "serving-runtime.yaml").read_text())
    model = yaml.safe_load((KSERVE / name).read_text())["spec"]["predictor"]["model"]

    assert runtime["metadata"]["name"] == model["runtime"]
    assert model["protocolVersion"] in runtime["spec"]["protocolVersions"]
    formats = [each["name"] for each in runtime["spec"]["supportedModelFormats"]]
    assert model["modelFormat"]["name"] in formats
    for port in model.get("ports", []):
        assert f"--grpc-port={port['containerPort']}" in runtime["spec"]["containers"][0]["args"]
