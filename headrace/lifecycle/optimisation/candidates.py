"""Makes candidates of a parent, each by a chain of steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from headrace import errors
from headrace.lifecycle.optimisation import search as steps
from headrace.lifecycle.optimisation.artifact_folders import ArtifactFolder
from headrace.lifecycle.optimisation.differences import Difference
from headrace.lifecycle.optimisation.four_bits import four_bit
from headrace.lifecycle.optimisation.graph_editing import keep_ends
from headrace.lifecycle.optimisation.half_precision import halved
from headrace.lifecycle.optimisation.judging import Allowed, Judge, mixes_rows
from headrace.lifecycle.optimisation.methods import Chain, Method, chain_name
from headrace.lifecycle.optimisation.search import Made, Search
from headrace.lifecycle.optimisation.simplification import simplified

if TYPE_CHECKING:
    from onnx import ModelProto

MIXED_NOTE = (
    "rows of one request change one another's answers, as scales are of all of them: "
    "the registry does not batch it"
)
HALF_NOTE = (
    "ONNX Runtime has few kernels of 16 bit floats for CPUs, and converts to and fro: "
    "it may be slower there"
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A graph that might take the parent's place."""

    chain: Chain
    artifact: ArtifactFolder | None
    """Where it was written; None of one that could not be made."""
    difference: Difference | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    """How it was made."""
    notes: tuple[str, ...] = ()
    mixes_rows: bool = False
    """Whether rows of one run change one another's answers."""
    refused: str = ""
    """Why it could not be made, or is no candidate."""

    @property
    def name(self) -> str:
        """Its chain as it is written."""
        return chain_name(self.chain)


def make_candidate(
    chain: Chain,
    parent: ArtifactFolder,
    judge: Judge,
    allowed: Allowed,
    folder: Path,
    has_time: Callable[[], bool] = lambda: True,
) -> Candidate:
    """Make the candidate of a chain in a new folder.

    What cannot be made of this graph, or does not open, is one that says why.
    """
    original = parent.load()
    try:
        made = _made(chain, original, judge, allowed, has_time)
        keep_ends(made.model, original)
        difference = judge.judge(made.model)
    except errors.HeadraceError as error:
        return Candidate(chain, None, refused=str(error))
    except Exception as error:  # noqa: BLE001 - tools of others raise what they like
        return Candidate(chain, None, refused=f"{type(error).__name__}: {str(error)[:300]}")
    artifact = parent.with_graph(made.model, folder)
    notes, mixes = _notes(chain, made.model), mixes_rows(made.model)
    return Candidate(chain, artifact, difference, made.facts, notes, mixes)


def _made(
    chain: Chain,
    original: ModelProto,
    judge: Judge,
    allowed: Allowed,
    has_time: Callable[[], bool],
) -> Made:
    made = Made(original, judge.search(original))
    facts: dict[str, str] = {}
    for place, step in enumerate(chain):
        budget = allowed if place == len(chain) - 1 else allowed.half()
        search = Search(judge, budget, judge.whole_making, has_time)
        made = _STEPS[step](search, made.model)
        facts |= made.facts
    made.facts = facts
    return made


def _simplify(search: Search, model: ModelProto) -> Made:
    return search.made(simplified(model))


def _halve(search: Search, model: ModelProto) -> Made:
    return search.made(halved(model))


def _four_bits(search: Search, model: ModelProto) -> Made:
    return search.made(four_bit(model))


_STEPS: Mapping[Method, Callable[[Search, ModelProto], Made]] = {
    Method.SIMPLIFY: _simplify,
    Method.PRUNE: steps.pruned,
    Method.PRUNE_WEIGHTS: steps.with_weights_at_zero,
    Method.DYNAMIC_INT8: steps.dynamic,
    Method.STATIC_INT8: steps.static,
    Method.INT4: _four_bits,
    Method.FP16: _halve,
}


def _notes(chain: Chain, model: ModelProto) -> tuple[str, ...]:
    notes = [MIXED_NOTE] if mixes_rows(model) else []
    if Method.FP16 in chain:
        notes.append(HALF_NOTE)
    return tuple(notes)
