"""Catalogs of any size, written into a shared state as a registry would leave them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from headrace.datatypes import Datatype
from headrace.state.changes import encode_change
from headrace.state.codec import encode_sparse
from headrace.state.connection import Redis
from headrace.state.keys import Keys
from headrace.state.reader import CHANGE_FIELD
from headrace.state.records import (
    AliasRecord,
    ArtifactFile,
    Batching,
    ModelRecord,
    ServingConfig,
    Signature,
    TensorSpec,
    VersionRecord,
)
from headrace.state.route_records import RouteRecord
from headrace_registry.domain.decisions.decision import Decision

_BATCH = 500
_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class CatalogSize:
    """So many models with so many versions each."""

    models: int
    versions: int

    def __str__(self) -> str:
        """The size in words."""
        return f"{self.models:,} models x {self.versions:,}"

    @property
    def total(self) -> int:
        """All versions together."""
        return self.models * self.versions


def model_name(place: int) -> str:
    """The name of a model by its place."""
    return f"sentiment-classifier-{place:05}"


def version(model: str, number: int) -> VersionRecord:
    """Return what a push of a small text classifier leaves."""
    text = TensorSpec("input_ids", Datatype.INT64, (-1, 128), ("batch", "sequence"))
    return VersionRecord(
        model=model,
        number=number,
        digest=_digest(model, number, "all"),
        files=(
            ArtifactFile("labels.txt", 812, _digest(model, number, "labels")),
            ArtifactFile("model.onnx", 433_121, _digest(model, number, "graph")),
        ),
        graph_path="model.onnx",
        signature=Signature(
            inputs=(text, replace(text, name="attention_mask")),
            outputs=(TensorSpec("logits", Datatype.FP32, (-1, 4), ("batch", "")),),
        ),
        config=ServingConfig(batching=Batching(max_batch_size=32)),
        created_at=1_764_403_000.123 + number,
        description="trained on the tickets of the last night, accuracy 0.913",
        revision=number,
        notices=("batching on: every output has the rows of its input, and none looks at another",),
    )


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


@dataclass(slots=True)
class Seed:
    """A state that is written push by push; of the changes the last are kept, as a registry does."""

    size: CatalogSize
    version: Callable[[str, int], VersionRecord] = version
    revision: int = 0
    newest_hash: str = ""
    _models: dict[str, ModelRecord] = field(default_factory=dict)

    def decisions(self) -> Iterator[Decision]:
        """The pushes, as the registry decides them."""
        for model, number in self._pushes():
            yield self._push(model, number)

    async def write(self, redis: Redis, keys: Keys) -> None:
        """Write all records and the changes that are kept."""
        pushes = list(self._pushes())
        for start in range(0, len(pushes), _BATCH):
            pipeline = redis.pipeline(transaction=False)
            for model, number in pushes[start : start + _BATCH]:
                decision = self._push(model, number)
                for key, record in decision.records["versions"].items():
                    pipeline.hset(keys.versions, key, encode_sparse(record).decode())
                if self.revision > self.size.total - _KEPT:
                    pipeline.xadd(keys.changes, self._entry(decision), id=f"{self.revision}-0")
            await pipeline.execute()
        for start in range(0, self.size.models, _BATCH):
            names = list(self._models)[start : start + _BATCH]
            records: Any = {name: encode_sparse(self._models[name]).decode() for name in names}
            await redis.hset(keys.models, mapping=records)
            await redis.hset(
                keys.numbers, mapping={name: str(self.size.versions) for name in names}
            )
        counts = f"{self.revision}:{self.size.models}:{self.size.total}"
        await redis.mset(
            {
                keys.epoch: "0" * 32,
                keys.revision: self.revision,
                keys.counts: counts,
                keys.change_hash: self.newest_hash,
            }
        )

    def _pushes(self) -> Iterator[tuple[str, int]]:
        for number in range(1, self.size.versions + 1):
            for place in range(self.size.models):
                yield model_name(place), number

    def _push(self, name: str, number: int) -> Decision:
        self.revision += 1
        before = self._models.get(name)
        model = ModelRecord(
            name,
            created_at=1_764_403_000.5,
            description="routes tickets of the support desk",
            labels={"team": "support", "stage": "production"},
            last_number=number,
            aliases={"newest": AliasRecord(number, 1_764_403_000.5, self.revision)},
            route=RouteRecord(1, updated_at=1_764_403_000.5, revision=1),
            revision=self.revision,
        )
        self._models[name] = model
        pushed = self.version(name, number)
        return Decision(
            self.revision,
            "version.push",
            f"models/{name}/versions/{number}",
            "ada",
            1_764_403_000.5,
            {"models": {name: model}, "versions": {pushed.key: pushed}},
            {"models": {name: before}, "versions": {pushed.key: None}},
        )

    def _entry(self, decision: Decision) -> Any:
        entry = encode_change(decision.change(self.newest_hash))
        self.newest_hash = hashlib.sha256(entry).hexdigest()
        return {CHANGE_FIELD: entry}
