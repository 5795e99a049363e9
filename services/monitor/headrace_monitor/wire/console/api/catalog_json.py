"""Models, versions, routes and replicas as the console's JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping

from headrace.client.resources import Alias, Model, Route, Version
from headrace.client.route_texts import describe_rule
from headrace.state import codec
from headrace.state.records import Signature, TensorSpec
from headrace_monitor.domain.catalog.catalog import (
    CatalogModel,
    Freshness,
    Holding,
    Replicas,
    Snapshot,
    reasons_over,
)
from headrace_monitor.domain.catalog.history import weights_of
from headrace_monitor.domain.queries.query_engine import VersionStatistics
from headrace_monitor.wire.console.api.figures_json import statistics_json

DELETED = "DELETED"
"""The state of a version that is no more, and still has figures."""


def freshness_json(freshness: Freshness, snapshot: Snapshot) -> dict[str, object]:
    """How far the catalog can be relied on."""
    return {
        "known": freshness.is_known,
        "connected": freshness.is_connected,
        "age_seconds": round(freshness.age_seconds, 1),
        "revision": snapshot.revision,
        "complete": snapshot.is_complete,
        "problem": freshness.problem,
    }


def model_json(model: Model) -> dict[str, object]:
    """What a model says of itself."""
    return {
        "name": model.name,
        "description": model.description,
        "labels": dict(model.labels),
        "kind": model.kind,
        "created_at": model.created_at or None,
        "etag": model.etag,
        "pinned": model.pinned,
        "protected": model.protected,
        "keep_latest": model.keep_latest,
        "last_version": model.last_version,
    }


def route_json(route: Route | None) -> dict[str, object] | None:
    """A route, with the percentage of each version."""
    if route is None:
        return None
    canaries = [one for one in (route.canary, *route.more_canaries) if one is not None]
    shadow = route.shadow
    return {
        "stable": route.stable,
        "previous": route.previous,
        "canaries": [
            {"version": one.version, "weight_percent": one.weight_percent} for one in canaries
        ],
        "weights": {str(version): weight for version, weight in weights_of(route).items()},
        "sticky_key": str(route.sticky_key) if route.sticky_key else None,
        "rules": [{"rule": describe_rule(rule), "version": rule.version} for rule in route.matches],
        "shadow": shadow and {"version": shadow.version, "share_percent": shadow.share_percent},
        "updated_at": route.updated_at,
        "etag": route.etag,
    }


def alias_json(alias: Alias) -> dict[str, object]:
    """Where an alias points."""
    return {"version": alias.version, "updated_at": alias.updated_at, "etag": alias.etag}


def aliases_json(entry: CatalogModel) -> dict[str, object]:
    """All aliases of a model by name."""
    return {name: alias_json(alias) for name, alias in sorted(entry.aliases.items())}


def version_row(
    entry: CatalogModel,
    number: int,
    replicas: Replicas,
    found: VersionStatistics | None,
    seconds: float,
) -> dict[str, object]:
    """A version as a list of models shows it."""
    figures = statistics_json(found, seconds)
    holdings = replicas.of(entry.model.name, number)
    return {
        "number": number,
        "state": replicas.state(entry, number),
        "reasons": reasons_over(holdings),
        "roles": entry.roles_of(number),
        "replicas": dict(Counter(each.state.value for each in holdings)),
        "called": found is not None and found.tally.request_count > 0,
        **{
            name: figures[name]
            for name in ("requests_per_second", "errors_per_second", "p50_ms", "p99_ms")
        },
    }


def version_json(
    entry: CatalogModel,
    version: Version,
    replicas: Replicas,
    pushers: Mapping[int, str],
) -> dict[str, object]:
    """A version in detail, without its figures."""
    holdings = replicas.of(version.model, version.number)
    return {
        "number": version.number,
        "kind": version.kind,
        "created_at": version.created_at,
        "digest": version.digest,
        "size_bytes": version.size_bytes,
        "files": [{"path": each.path, "size_bytes": each.size_bytes} for each in version.files],
        "description": version.description,
        "notices": list(version.notices),
        "signed": bool(version.signature_bundle),
        "pushed_by": pushers.get(version.number),
        "signature": signature_json(version.signature),
        "config": json.loads(codec.encode_sparse(version.config)),
        "language": json.loads(codec.encode_sparse(version.language)) if version.language else None,
        "state": replicas.state(entry, version.number),
        "reasons": reasons_over(holdings),
        "roles": entry.roles_of(version.number),
        "aliases": [
            name for name, alias in sorted(entry.aliases.items()) if alias.version == version.number
        ],
        "replicas": [holding_json(each) for each in holdings],
    }


def holding_json(holding: Holding) -> dict[str, object]:
    """A version on one replica."""
    return {
        "replica": holding.replica,
        "state": holding.state.value,
        "reason": holding.reason,
        "memory_bytes": holding.memory_bytes,
        "provider": holding.provider,
    }


def signature_json(signature: Signature) -> dict[str, object]:
    """What a version takes and gives."""
    inputs = [_tensor_json(spec) | {"optional": False} for spec in signature.inputs]
    inputs += [_tensor_json(spec) | {"optional": True} for spec in signature.optional_inputs]
    return {"inputs": inputs, "outputs": [_tensor_json(spec) for spec in signature.outputs]}


def _tensor_json(spec: TensorSpec) -> dict[str, object]:
    return {
        "name": spec.name,
        "datatype": spec.datatype.value,
        "shape": None if spec.unranked else list(spec.shape),
        "dims": list(spec.dim_names),
    }
