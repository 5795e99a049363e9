"""One run at a time for each model, wherever it runs: a label of the model says who is at it.

The registry changes labels on condition of the etag: of two that begin at once one finds that it was too
late. Who is killed leaves the label behind; it counts no more after some minutes without being renewed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from headrace import errors

LABEL = "headrace.retraining"
UNDER_WAY = "RETRAINING_UNDER_WAY"
RENEW_SECONDS = 300.0
EXPIRE_SECONDS = 900.0
_TRIES = 5


class LabelledModel(Protocol):
    """A model with its labels."""

    @property
    def labels(self) -> Mapping[str, str]:
        """Its labels."""

    @property
    def etag(self) -> str:
        """Changes with every change."""


class Models(Protocol):
    """Reads and changes models."""

    async def model(self, model: str) -> LabelledModel:
        """The model. Raises NotFound."""

    async def update_model(
        self, model: str, *, labels: Mapping[str, str], etag: str
    ) -> LabelledModel:
        """Change its labels. Raises Aborted."""


@dataclass(slots=True)
class Lease:
    """The right to retrain a model, held by one run."""

    models: Models
    model: str
    run: str
    clock: Callable[[], float] = time.time
    renewed_at: float = 0.0

    async def take(self, *, over: bool = False) -> None:
        """Take it, or take it again. With `over`, from whoever has it.

        Raises FailedPrecondition (RETRAINING_UNDER_WAY), NotFound.
        """
        for _ in range(_TRIES):
            found = await self.models.model(self.model)
            held = _read(found.labels.get(LABEL, ""))
            is_live = held is not None and abs(self.clock() - held.renewed_at) < EXPIRE_SECONDS
            if held is not None and is_live and held.run != self.run and not over:
                raise errors.FailedPrecondition(
                    UNDER_WAY,
                    f"run {held.run} retrains {self.model!r} (renewed "
                    f"{max(0.0, self.clock() - held.renewed_at):.0f} s ago): wait for it; one that was "
                    f"killed counts for {EXPIRE_SECONDS / 60:.0f} minutes; --take-over says it is gone",
                    facts={"run": held.run},
                )
            now = self.clock()
            if await self._write({**found.labels, LABEL: f"{self.run} {now:.0f}"}, found.etag):
                self.renewed_at = now
                return
        raise errors.Aborted(
            "MODEL_MOVES", f"model {self.model!r} was changed {_TRIES} times meanwhile: try again"
        )

    async def renew(self) -> None:
        """Look whether it is still held, and say so again where that was said long ago.

        Raises FailedPrecondition (RETRAINING_UNDER_WAY) where another run took it over, NotFound.
        """
        held = _read((await self.models.model(self.model)).labels.get(LABEL, ""))
        is_mine = held is not None and held.run == self.run
        if not is_mine or not 0 <= self.clock() - self.renewed_at <= RENEW_SECONDS:
            await self.take()

    async def give_back(self) -> None:
        """Take the label away, if it is this run's."""
        for _ in range(_TRIES):
            found = await self.models.model(self.model)
            held = _read(found.labels.get(LABEL, ""))
            if held is None or held.run != self.run:
                return
            left = {name: value for name, value in found.labels.items() if name != LABEL}
            if await self._write(left, found.etag):
                return

    async def _write(self, labels: Mapping[str, str], etag: str) -> bool:
        try:
            await self.models.update_model(self.model, labels=labels, etag=etag)
        except errors.Aborted:
            return False
        return True


@dataclass(frozen=True, slots=True)
class _Held:
    run: str
    renewed_at: float


def _read(label: str) -> _Held | None:
    run, _, renewed = label.partition(" ")
    return _Held(run, float(renewed)) if run and renewed.isdecimal() else None
