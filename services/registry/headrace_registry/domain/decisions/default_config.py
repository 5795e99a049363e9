"""The default serving config of a version, by its signature.

A version batches by default where rows of different requests can share one run:
  1. every input and every output has at least one dimension, and the first is free;
  2. where the graph names first dimensions, it names them all alike;
  3. an analysis of the graph proves that rows do not change one another, and a trial saw nothing else.
A push may ask for batching where only rules 2 and 3 are broken, for exporters name dimensions as they
like, and a missing proof is none of the contrary. Where rule 1 is broken the push is refused. Where an
output certainly has another number of rows than the inputs, the version is taken and the batching that was
asked for is refused: its config has none, and a notice says why.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from headrace import errors
from headrace.datatype_names import Datatype
from headrace.errors import FieldViolation
from headrace.state.records import BATCHING_NOTICE, Batching, ServingConfig, Signature

DEFAULT_MAX_BATCH_SIZE = 64
"""Enough rows to fill the vector units of a small model; a large one reaches its rate earlier."""


@dataclass(frozen=True, slots=True)
class BatchInvariance:
    """The finding on whether a graph gives each row what it gives it alone, by proof and trial."""

    obstacle: str = ""
    """Why rows may change one another; empty: it is proven that they do not."""
    impossible: str = ""
    """The output that certainly has another number of rows than the inputs, and why."""


def default_config(signature: Signature, invariance: BatchInvariance) -> ServingConfig:
    """The config of a version with this signature, if its push says nothing else."""
    if reason_against_batching(signature, invariance):
        return ServingConfig()
    # Nobody asked for a limit: a request with more rows is run, alone.
    return ServingConfig(batching=Batching(DEFAULT_MAX_BATCH_SIZE, allow_larger_requests=True))


def reason_against_batching(signature: Signature, invariance: BatchInvariance) -> str:
    """Return why a version does not batch by default, or nothing."""
    return obstacle_to_batching(signature) or _other_names(signature) or invariance.obstacle


def without_refused_batching(config: ServingConfig, invariance: BatchInvariance) -> ServingConfig:
    """The config, without batching where an output certainly has another number of rows than the inputs.

    Totals that fit by chance would hand rows to strangers, so that nobody can insist on it. Detectors are
    such models, and many a config written for another server asks for it.
    """
    if not invariance.impossible or config.batching.max_batch_size == 0:
        return config
    return replace(config, batching=Batching(preserve_ordering=config.batching.preserve_ordering))


def batching_notice(
    config: ServingConfig, signature: Signature, invariance: BatchInvariance, asked_rows: int | None
) -> str:
    """One line that says whether the version batches, and why; `asked_rows`: what the push said itself."""
    asked = asked_rows is not None
    rows, reason = config.batching.max_batch_size, reason_against_batching(signature, invariance)
    if not asked and not rows:
        can = not obstacle_to_batching(signature) and not invariance.impossible
        hint = "; set batching.max_batch_size to insist" if can else ""
        said = f"off: {reason}{hint}"
    elif not asked:
        said = f"on: up to {rows} rows share a run; each is proven to get what it gets alone"
    elif asked_rows and not rows:
        said = f"off: max_batch_size {asked_rows} is refused, for {invariance.impossible}"
    elif rows:
        said = f"on: up to {rows} rows share a run, as asked" + (
            f", though {reason}" if reason else ""
        )
    else:
        said = "off: as asked"
    return f"{BATCHING_NOTICE}{said}"


def check_config(config: ServingConfig, signature: Signature) -> None:
    """Pass if the signature can be served so.

    Raises InvalidArgument (BATCHING_IMPOSSIBLE, IO_BINDING_IMPOSSIBLE).
    """
    strings = [spec.name for spec in signature.inputs if spec.datatype is Datatype.BYTES]
    if config.session.io_binding and strings:
        what = f"input {strings[0][:80]!r} is BYTES, and a binding takes no strings"
        raise errors.InvalidArgument(
            "IO_BINDING_IMPOSSIBLE",
            f"session.io_binding is true, but {what}: leave it out",
            violations=(FieldViolation("serving_config.session.io_binding", what),),
        )
    obstacle = obstacle_to_batching(signature)
    if config.batching.max_batch_size > 0 and obstacle:
        raise errors.InvalidArgument(
            "BATCHING_IMPOSSIBLE",
            f"max_batch_size is {config.batching.max_batch_size}, but {obstacle}: set it to 0, or "
            "export the model with a free first dimension everywhere",
            violations=(FieldViolation("serving_config.batching.max_batch_size", obstacle),),
        )


def obstacle_to_batching(signature: Signature) -> str | None:
    """Return why rows of different requests cannot share one run, or None where they can."""
    if not signature.inputs:
        return "the model has no inputs"
    for spec in (*signature.inputs, *signature.outputs):
        if spec.unranked:
            return f"{spec.name!r} has no declared number of dimensions"
        if not spec.shape:
            return f"{spec.name!r} is a scalar"
        if spec.shape[0] != -1:
            return f"the first dimension of {spec.name!r} is fixed to {spec.shape[0]}"
    return None


def _other_names(signature: Signature) -> str:
    specs = (*signature.inputs, *signature.outputs)
    names = sorted({spec.dim_names[0] for spec in specs if spec.dim_names and spec.dim_names[0]})
    if len(names) <= 1:
        return ""
    return f"first dimensions have different names, {names[0][:80]!r} and {names[1][:80]!r}"
