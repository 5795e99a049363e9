"""What is deployed is the version that the package has."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
IMAGE = re.compile(r"image: headrace:([\w.]+)|newTag: ([\w.]+)")


def test_the_chart_has_the_package_s_version() -> None:
    """Its own, and that of the image that it starts."""
    chart = yaml.safe_load((DEPLOY / "helm/headrace/Chart.yaml").read_text())

    assert [version("headrace")] * 2 == [chart["version"], chart["appVersion"]]


def test_manifests_name_the_image_of_this_version() -> None:
    """Those for KServe and the plain ones."""
    for folder in ("kserve", "kubernetes"):
        texts = [file.read_text() for file in (DEPLOY / folder).glob("*.yaml")]
        tags = {tag for text in texts for found in IMAGE.findall(text) for tag in found if tag}
        assert {version("headrace")} == tags
