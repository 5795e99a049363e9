"""The monitor's catalog after changes that the registry tells."""

from __future__ import annotations

from headrace.client.resources import Change, Model, StoredRecord, Version
from headrace.state.records import ServingConfig, Signature
from headrace_monitor.domain.catalog.catalog import CatalogModel, Snapshot
from headrace_monitor.domain.catalog.changes import changed

NAME = "models/digits/versions/1/annotations"


def test_a_description_that_is_said_later_is_shown() -> None:
    """It hides that of the push; other annotations leave the version as it is."""
    version = Version("digits", 1, "d", (), "", Signature((), ()), ServingConfig(), 0.0, "pushed")
    snapshot = Snapshot({"digits": CatalogModel(Model("digits"), {1: version})})
    shown = []
    changes: list[dict[str, object]] = [{"tags": {"a": "b"}}, {"description": "said"}, {}]
    for number, said in enumerate(changes):
        after = StoredRecord("annotations", {"model": "digits", "number": 1, **said})
        change = Change(number, "annotations.update", NAME, "ada", after)
        snapshot = changed(snapshot, change)
        shown.append(snapshot.models["digits"].versions[1].description)
    assert ["pushed", "said", "said"] == shown
