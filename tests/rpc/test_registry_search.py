"""Searches of versions over a registry's socket: fields, order, pages while the catalog changes, sight."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from headrace import errors
from headrace.client import AsyncClient, FoundVersion, Lineage, Metric
from headrace.registry.v1 import annotation_service_pb2 as pb
from headrace.registry.v1.annotation_service_pb2_grpc import AnnotationServiceStub
from tests.rpc.registry_fixtures import error_of, onnx_file, push, running_registry
from tests.security.registries import bearer, secured_registry

A, B = "a" * 64, "b" * 64
ASKED: dict[str, list[int]] = {
    "": [3, 2, 1],
    "metrics.accuracy > 0.9": [3, 1],
    'metrics.accuracy > 0.9 and tags.team = "vision"': [1],
    "metrics.accuracy[old.csv] > 0.9": [],
    "metrics.accuracy[old.csv] = 0.5": [1],
    f"metrics.accuracy[{B[:8]}] > 0.9": [1],
    "metrics.accuracy{region=eu} < 0.8": [3],
    "metrics.accuracy.lower > 0.9": [3],
    "metrics.accuracy.rows >= 100": [3],
    "NOT metrics.accuracy:*": [2],
    "metrics:accuracy": [3, 1],
    "tags:team": [2, 1],
    "tags.team = v*": [1],
    "tags.team != vision": [2],
    "-tags.team = vision": [3, 2],
    "number >= 2": [3, 2],
    "model = dig*": [3, 2, 1],
    "kind = tensors": [3, 2, 1],
    "create_time > 2020-01-01 and age < 1h": [3, 2, 1],
    "size_bytes < 10": [],
    "description:second": [2],
    'description = "said anew"': [1],
    "labels.stage = beta": [3, 2, 1],
    "labels:nothing": [],
    "lineage.parent = 1": [2],
    'lineage.method = "optimise: *"': [2],
    "lineage.facts.seed = 7": [2],
    "alias:prod": [1],
    "alias != prod": [3, 2],
    "role:stable": [1],
    "role:canary or role:shadow": [2],
    "inputs:x and outputs:y": [3, 2, 1],
    "attachments:card.md": [3],
}


def _numbers(found: list[FoundVersion]) -> list[int]:
    return [each.version.number for each in found]


async def test_filters_of_every_field(redis_url: str, namespace: str, tmp_path: Path) -> None:
    """Each field finds what it says, of the newest value on whole data where nothing else is said."""
    async with (
        running_registry(redis_url, namespace, tmp_path) as running,
        AsyncClient(registry=running.address) as client,
    ):
        await push(running, onnx_file(1.0), header={"alias": "prod"})
        await push(running, onnx_file(2.0), header={"description": "the second"})
        await push(running, onnx_file(3.0))
        await client.update_model("digits", labels={"stage": "beta"})
        await client.set_route("digits", 1, 2, 5.0)
        await client.annotate(
            "digits",
            1,
            tags={"team": "vision"},
            description="said anew",
            metrics=[
                Metric("accuracy", 0.95, "", B, "new.csv", measured_at=2.0),
                Metric("accuracy", 0.5, "", A, "old.csv", measured_at=1.0),
            ],
        )
        lineage = Lineage(1, "optimise: dynamic-int8", facts={"seed": "7"})
        await client.annotate("digits", 2, tags={"team": "text"}, lineage=lineage)
        metrics = [
            Metric("accuracy", 0.96, lower=0.92, upper=0.98, rows=100),
            Metric("accuracy", 0.7, "region=eu"),
        ]
        await client.annotate("digits", 3, metrics=metrics)
        await client.attach("digits", 3, "card.md", b"# card", media_type="text/markdown")
        found = {text: await client.search_versions(text) for text in ASKED}
        (first,) = await client.search_versions("alias:prod", "digits")
        with pytest.raises(errors.InvalidArgument) as unknown:
            await client.search_versions("metrics.accuracy > 0.9 AND team = vision")
        with pytest.raises(errors.NotFound):
            await client.search_versions(model="unknown")
        orders = {
            text: _numbers(await client.search_versions(order_by=text))
            for text in ("metrics.accuracy", "metrics.accuracy desc", "tags.team", "number")
        }
    assert ASKED == {text: _numbers(each) for text, each in found.items()}
    assert (("prod",), "vision", "digits") == (
        first.aliases,
        first.annotations.tags["team"],
        first.version.model,
    )
    assert "filter, column 28: there is no field 'team'; there are model, number" in str(
        unknown.value
    )
    assert {
        "metrics.accuracy": [1, 3, 2],
        "metrics.accuracy desc": [3, 1, 2],
        "tags.team": [2, 1, 3],
        "number": [1, 2, 3],
    } == orders


async def test_pages_stay_right_while_the_catalog_changes(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """A token says a place: what comes and goes before it shifts nothing; it is of its search alone."""
    async with (
        running_registry(redis_url, namespace, tmp_path) as running,
        AsyncClient(registry=running.address) as client,
    ):
        service: Any = AnnotationServiceStub(running.channel)
        for number in range(1, 6):
            await push(running, onnx_file(float(number)))
            await client.annotate("digits", number, metrics={"loss": number / 10})

        async def page(
            token: str = "", order: str = "metrics.loss desc"
        ) -> pb.SearchVersionsResponse:
            request = pb.SearchVersionsRequest(order_by=order, page_size=2, page_token=token)
            answer: pb.SearchVersionsResponse = await service.SearchVersions(request)
            return answer

        first = await page()
        await client.delete_version("digits", 5)
        await client.delete_version("digits", 4)
        await push(running, onnx_file(6.0))
        await client.annotate("digits", 6, metrics={"loss": 0.9})
        second = await page(first.next_page_token)
        third = await page(second.next_page_token)
        refused = [
            (await error_of(page(token, order))).reason
            for token, order in (
                (first.next_page_token, "metrics.loss"),
                ("x", ""),
                (first.next_page_token[:-8], "metrics.loss desc"),
            )
        ]
    numbers = [[each.version.number for each in one.found] for one in (first, second, third)]
    assert [[5, 4], [3, 2], [1]] == numbers
    assert "" == third.next_page_token
    assert ["PAGE_TOKEN_INVALID"] * 3 == refused


async def test_only_what_may_be_read_is_found(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Versions of other models are not there, whatever is asked; nor can one be asked for by its name."""
    async with secured_registry(redis_url, namespace, tmp_path) as registry:
        for model in ("team-a", "other"):
            await registry.push(registry.admin, model, onnx_file())
        team = await registry.key("team", ("viewer", "team-*"))
        service: Any = AnnotationServiceStub(registry.running.channel)
        found = await service.SearchVersions(
            pb.SearchVersionsRequest(filter="number = 1"), metadata=bearer(team)
        )
        every = await service.SearchVersions(
            pb.SearchVersionsRequest(), metadata=bearer(registry.admin)
        )
    assert ["models/team-a/versions/1"] == [each.version.name for each in found.found]
    assert 2 == len(every.found)
