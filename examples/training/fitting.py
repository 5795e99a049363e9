"""Trains a network: forward, loss, gradient, step, until rows that it is not trained on stop improving."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import torch

Batch = TypeVar("Batch")


@dataclass(frozen=True, slots=True)
class Epoch:
    """The mean loss over training rows while they were trained on, and over validation rows after."""

    number: int
    training_loss: float
    validation_loss: float
    seconds: float

    def __str__(self) -> str:
        return (
            f"epoch {self.number:3}  training loss {self.training_loss:.4f}  "
            f"validation loss {self.validation_loss:.4f}  {self.seconds:.1f} s"
        )


@dataclass(frozen=True, slots=True)
class History:
    """The epochs of a training, and the one whose weights were kept."""

    epochs: tuple[Epoch, ...]
    best: int

    @property
    def gap(self) -> float:
        """Validation over training loss in the last epoch: far above 1, it learns rows by heart."""
        last = self.epochs[-1]
        return last.validation_loss / max(last.training_loss, 1e-12)

    def as_json(self) -> dict[str, Any]:
        """The history as a JSON document has it."""
        return {"best_epoch": self.best, "epochs": [asdict(epoch) for epoch in self.epochs]}


def fit(
    model: Any,
    batches: Callable[[], Iterable[Batch]],
    loss: Callable[[Batch], Any],
    validation: Callable[[], float],
    *,
    epochs: int,
    rate: float = 1e-3,
    patience: int = 3,
    say: Callable[[str], None] = print,
) -> History:
    """Train, and leave the model with the weights of the epoch that was best on the validation rows.

    Ends before `epochs` when `patience` of them in a row brought nothing.
    """
    torch.set_num_threads(1)  # steps are so small that threads would mostly wait for one another
    optimiser = torch.optim.Adam(model.parameters(), lr=rate)
    done: list[Epoch] = []
    best, kept = 0, copy.deepcopy(model.state_dict())
    while len(done) < epochs and len(done) - best < patience:
        started = time.perf_counter()
        training = _epoch(model, optimiser, batches(), loss)
        model.eval()
        with torch.no_grad():
            held_out = validation()
        seconds = time.perf_counter() - started
        done.append(Epoch(len(done) + 1, training, held_out, seconds))
        say(str(done[-1]))
        if best == 0 or held_out < done[best - 1].validation_loss:
            best, kept = len(done), copy.deepcopy(model.state_dict())
    model.load_state_dict(kept)
    model.eval()
    return History(tuple(done), best)


def _epoch(
    model: Any, optimiser: Any, batches: Iterable[Batch], loss: Callable[[Batch], Any]
) -> float:
    model.train()
    total, count = 0.0, 0
    for batch in batches:
        value = loss(batch)  # forward: from inputs to scores, and how far those are from the truth
        optimiser.zero_grad()
        value.backward()  # the gradient of the loss by every weight
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()  # a step down the gradient, scaled by Adam
        total, count = total + float(value.detach()), count + 1
    return total / max(count, 1)
