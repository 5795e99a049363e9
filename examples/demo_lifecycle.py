"""The whole life of a model on real flights: train, evaluate, make smaller, serve, retrain, promote.

    python -m examples.demo_lifecycle

The network of examples/tabular_mlp is trained on January to March. April to June are sent to it as they
come, and what really happened is told afterwards: the delays of spring and summer are others. A network
that has seen them is held to a gate before callers get it; July and August say whether that was right.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from examples.steps import Steps, running_suite
from examples.tabular_mlp.flights import CATEGORIES, DAY, MONTH, NUMBERS, TARGET, flights
from examples.tabular_mlp.train import Trained, fold_of, trained
from examples.training.options import Options
from headrace import errors
from headrace.client import AsyncClient, Label, Lineage
from headrace.lifecycle.evaluation import Evaluation, evaluate, store
from headrace.lifecycle.optimisation import Allowed, Optimisation, Wishes, optimise
from headrace.state.gate_records import GateComparison, GateRecord

if TYPE_CHECKING:
    import pandas as pd

    from headrace.lifecycle.optimisation.choice import Measured

MODEL = "flights"
SEED = 0
FIRST = (1, 2, 3)
LATER = (4, 5, 6)
LAST = (7, 8)
KEPT = 8
"""Newest versions that stay loaded: all of them can be evaluated, and compared with."""
ALLOWED_LOSS = 0.005
FLIGHTS_A_MONTH = 4_000
ROWS = 50
"""Flights in a request: those that leave together, say."""
SOURCE = "month"
MAX_SECONDS = 40.0
SETTINGS = {
    "HEADRACE_SLICE_BY": f"header:x-{SOURCE}",
    "HEADRACE_LABEL_SHARE": "1",
    "HEADRACE_PREDICTION_RATE": "20000",
}
"""Keep every answer: a demonstration has no days in which a sample would do."""
GATE = GateRecord(
    require=("roc_auc.lower > 0.6",),
    no_worse_than=(
        GateComparison("log_loss", margin=0.0, smaller_is_better=True),
        GateComparison("accuracy", margin=0.01),
    ),
)


@dataclass
class Table:
    """A row for each step that measures something."""

    rows: list[tuple[str, ...]] = field(default_factory=list)

    def add(self, steps: Steps, step: str, *cells: str) -> None:
        """A row, with the time now."""
        self.rows.append((step, f"{steps.seconds:.0f} s", *cells))

    def show(self) -> None:
        """All rows, in columns."""
        heads = (
            "step",
            "time",
            "accuracy",
            "ROC AUC",
            "log loss",
            "size",
            "p50",
            "energy / 1,000 rows",
        )
        rows = [heads, *(row + ("",) * (len(heads) - len(row)) for row in self.rows)]
        widths = [max(len(row[place]) for row in rows) for place in range(len(heads))]
        for row in rows:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            print("   " + "  ".join(cells).rstrip())


class Demonstration:
    """The steps, one after the other, and what they found."""

    def __init__(self, client: AsyncClient, steps: Steps, work: Path, rows: pd.DataFrame) -> None:
        self._client, self._steps, self._work = client, steps, work
        self._rows = rows
        self._folds = fold_of(rows, SEED)
        self.table = Table()
        self.sent = 0

    async def run(self) -> bool:
        """All of it; whether it held."""
        self._steps.next(
            "Train on January to March, push, and evaluate on days that were held back"
        )
        await self._client.create_model(MODEL, keep_latest=KEPT)
        first = await self.pushed(FIRST, parent=0)
        before = await self.evaluated(first, FIRST, "trained on Jan to Mar")
        await self._client.update_model(MODEL, gate=GATE)
        self._steps.next(
            "Make it smaller: integers of 8 bits, at most half a percent of accuracy lost"
        )
        small = await self.optimised(first, FIRST)
        await self.evaluated(small, FIRST, "as int8")
        await self.routed(small)
        self._steps.next("April to June arrive; whether they were late is told afterwards")
        fallen = [await self.replayed(month) for month in LATER]
        fell = float(np.mean(fallen)) > value_of(before, "log_loss")
        self._steps.next(
            "Train again with what is known now, and evaluate both on held-back days of all six months"
        )
        again = await self.pushed(FIRST + LATER, parent=small)
        refused = await self.is_refused(again)
        await self.evaluated(small, FIRST + LATER, "the old one, Jan to Jun")
        await self.evaluated(again, FIRST + LATER, "trained on Jan to Jun")
        self._steps.next("Make that smaller, too, and let the gate decide who is promoted")
        newest = await self.optimised(again, FIRST + LATER)
        await self.evaluated(newest, FIRST + LATER, "as int8")
        await self.routed(newest)
        self._steps.next("July and August say whether that was right")
        pairs = [(await self.replayed(month), await self.asked_old(month, small)) for month in LAST]
        self._steps.next("What each step measured")
        self.table.show()
        return fell and refused and all(new < old for new, old in pairs)

    async def pushed(self, months: Sequence[int], *, parent: int) -> int:
        """Train on some months, and push that with where it is from."""
        rows, fold = self._of(months)
        some, others = rows[fold > 1], rows[fold == 1]
        model = await asyncio.to_thread(quietly_trained, some, others)
        folder = self._work / f"of-{len(months)}-months"
        folder.mkdir()
        size = model.save(Options(folder))
        span = f"months {months[0]} to {months[-1]}"
        lineage = Lineage(
            parent_version=parent,
            method="retrain" if parent else "train",
            command="python -m examples.demo_lifecycle",
            facts={"rows": str(len(some)), "data": span, "epochs": str(model.epochs)},
        )
        version = await self._client.push(MODEL, folder / "model.onnx", lineage=lineage)
        await self._loaded(version.number)
        made = f"{model.epochs} epochs, {size / 1e3:.0f} kB: version {version.number}"
        print(f"   {len(some)} flights of {span}, {made}")
        return version.number

    async def evaluated(self, version: int, months: Sequence[int], step: str) -> Evaluation:
        """Measure a version on the held-back days of months, and keep that with it."""
        path = self._held_out(months)
        found = await evaluate(
            self._client,
            MODEL,
            path,
            target=TARGET,
            version=version,
            positive="1",
            seed=SEED,
            resamples=300,
        )
        await store(self._client, found)
        cells = [with_interval(found, name) for name in ("accuracy", "roc_auc", "log_loss")]
        print(
            f"   version {version}, {found.rows} flights: accuracy {cells[0]}, ROC AUC {cells[1]}, "
            f"log loss {cells[2]}"
        )
        self.table.add(self._steps, step, *cells)
        return found

    async def optimised(self, version: int, months: Sequence[int]) -> int:
        """Make a version of integers, measure both, and give the number of the one that was chosen."""
        wishes = Wishes(
            methods=("dynamic-int8",),
            target=TARGET,
            allowed=Allowed(ALLOWED_LOSS),
            output="probabilities",
        )
        found = await optimise(self._client, MODEL, version, self._held_out(months), wishes)
        print(f"   {found.verdict()}")
        for each in found.measured:
            print(f"   {each.name}: {', '.join(costs(each))}")
            self.table.add(
                self._steps, f"  cost of version {version}, {each.name}", "", "", "", *costs(each)
            )
        return await self._chosen(found)

    async def _chosen(self, found: Optimisation) -> int:
        number = found.pushed or found.version
        await self._loaded(number)
        return number

    async def is_refused(self, version: int) -> bool:
        """Whether the gate refuses a version of which nothing was measured."""
        try:
            await self._client.set_route(MODEL, stable=version)
        except errors.FailedPrecondition as error:
            print(f"   not measured, not promoted: {error.reason}")
            return str(error.reason) == "GATE_NOT_PASSED"
        return False

    async def routed(self, version: int) -> None:
        """Promote a version: the gate has to let it pass."""
        await self._client.set_route(MODEL, stable=version)
        print(f"   the gate lets version {version} pass; callers get it")

    async def replayed(self, month: int) -> float:
        """Send flights of a month as callers do, tell the truth later; the log loss of the answers."""
        rows = self._month(month)
        scores, labels, version = [], [], 0
        for start in range(0, len(rows), ROWS):
            some = rows.iloc[start : start + ROWS]
            name = f"{month}-{start}-{self.sent}"
            headers = {f"x-{SOURCE}": str(month)}
            answer = await self._client.infer(
                MODEL, inputs_of(some), headers=headers, request_id=name
            )
            version = int(answer.model_version)
            scores.append(answer["probabilities"][:, 1])
            labels += [Label(name, str(truth), row) for row, truth in enumerate(some[TARGET])]
            self.sent += len(some)
        await self._kept(month, len(rows))
        counts = await self._client.record_labels(MODEL, labels)
        loss = log_loss(rows[TARGET], np.concatenate(scores))
        await self._show(month, version, loss, counts.joined)
        return loss

    async def asked_old(self, month: int, version: int) -> float:
        """The log loss of the same flights by the network of before."""
        answer = await self._client.infer(MODEL, inputs_of(self._month(month)), version=version)
        scores = answer["probabilities"][:, 1]
        truth = self._month(month)[TARGET].to_numpy()
        loss, right = log_loss(truth, scores), float(np.mean(truth == (scores > 0.5)))
        print(f"   month {month} by the old one: accuracy {right:.4f}, log loss {loss:.4f}")
        self.table.add(
            self._steps, f"month {month}, the old one", f"{right:.4f}", "", f"{loss:.4f}"
        )
        return loss

    async def _show(self, month: int, version: int, loss: float, joined: int) -> None:
        found = await self._client.quality(MODEL, version, slice_name=f"header x-{SOURCE}={month}")
        (quality,) = found.qualities
        accuracy, auc = quality.figure("accuracy"), quality.figure("roc_auc", "1")
        cells = [
            f"{each.value:.4f} ({each.low:.4f} to {each.high:.4f})" if each else ""
            for each in (accuracy, auc)
        ]
        print(
            f"   month {month} by version {version}: accuracy {cells[0]}, ROC AUC {cells[1]}, "
            f"log loss {loss:.4f}, of {joined} labels"
        )
        self.table.add(self._steps, f"month {month}, served", *cells, f"{loss:.4f}")

    async def _kept(self, month: int, rows: int) -> None:
        """Wait until the monitor has heard of all answers."""
        async with asyncio.timeout(MAX_SECONDS):
            while True:
                found = await self._client.quality(MODEL, slice_name=f"header x-{SOURCE}={month}")
                if sum(each.predictions for each in found.qualities) >= rows:
                    return
                await asyncio.sleep(0.2)

    async def _loaded(self, version: int) -> None:
        await self._client.wait_until_ready(MODEL, version, timeout_seconds=60)

    def _of(self, months: Sequence[int]) -> tuple[pd.DataFrame, Any]:
        which = self._rows[MONTH].isin(months).to_numpy()
        return self._rows[which], self._folds[which]

    def _held_out(self, months: Sequence[int]) -> Path:
        path = self._work / f"held-out-{months[0]}-{months[-1]}.parquet"
        if not path.exists():
            rows, fold = self._of(months)
            rows[fold == 0].drop(columns=[MONTH, DAY]).to_parquet(path, index=False)
        return path

    def _month(self, month: int) -> pd.DataFrame:
        rows = self._rows[self._rows[MONTH] == month]
        return rows.sample(min(FLIGHTS_A_MONTH, len(rows)), random_state=SEED).sort_values(DAY)


def quietly_trained(some: pd.DataFrame, others: pd.DataFrame) -> Trained:
    """A network that says the likelier of both, so that accuracy can be compared."""
    with redirect_stdout(StringIO()):
        return trained(some, others, SEED, threshold=0.5)


def inputs_of(rows: pd.DataFrame) -> pd.DataFrame:
    """The columns that are inputs."""
    return rows[[*NUMBERS, *CATEGORIES]]


def value_of(found: Evaluation, name: str) -> float:
    """A metric's value."""
    metric = found.metric(name)
    assert metric is not None
    return metric.value


def with_interval(found: Evaluation, name: str) -> str:
    """A metric as a cell of the table."""
    metric = found.metric(name)
    if metric is None or metric.lower is None or metric.upper is None:
        return "" if metric is None else f"{metric.value:.4f}"
    return f"{metric.value:.4f} ({metric.lower:.4f} to {metric.upper:.4f})"


def costs(measured: Measured) -> tuple[str, str, str]:
    """Size, latency and energy as cells of the table."""
    cost = measured.cost
    size = f"{measured.model_bytes / 1e3:.0f} kB"
    if cost is None:
        return size, "", ""
    energy = f"{cost.cpu_seconds:.3f} CPU s" if cost.cpu_seconds is not None else ""
    if cost.joules is not None:
        energy = f"{cost.joules:.2f} J ({cost.energy_by})"
    return size, f"{cost.p50_ms:.2f} ms", energy


def log_loss(truth: Any, scores: Any) -> float:
    """How surprised the answers are by the truth."""
    right = np.where(np.asarray(truth) == 1, scores, 1 - scores)
    return float(-np.log(np.clip(right, 1e-7, 1)).mean())


async def demonstrate() -> bool:
    """Take the data, start a suite, and run all of it there."""
    steps = Steps()
    steps.next("Flights that left New York City in 2013, with weather and planes")
    rows = flights(FIRST + LATER + LAST)
    print(f"   {len(rows)} flights; {rows[TARGET].mean():.1%} were more than 15 minutes late")
    with tempfile.TemporaryDirectory(prefix="headrace-demo-") as folder:
        work = Path(folder)
        with running_suite(work / "suite", SETTINGS) as suite:
            async with AsyncClient(
                registry=suite["registry"],
                inference=suite["inference"][0]["grpc"],
                monitor=suite["monitor"],
            ) as client:
                held = await Demonstration(client, steps, work, rows).run()
    print(
        f"\n[{steps.seconds:5.1f} s] {'All of it held.' if held else 'Something did not hold; see above.'}"
    )
    return held


def main() -> int:
    """Run the demonstration; the exit status says whether all of it held."""
    return 0 if asyncio.run(demonstrate()) else 1


if __name__ == "__main__":
    sys.exit(main())
