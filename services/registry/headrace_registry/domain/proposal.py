"""The serving config that is proposed for a signature.

A version is proposed with batching where rows of different requests can share one run:
  1. every input and every output has at least one dimension, and the first is free;
  2. where the graph names first dimensions, it names them all alike;
  3. rows that the check made up gave together what they gave alone, where that could be tried.
A push may ask for batching where only rules 2 and 3 are broken, for exporters name dimensions as they
like; where rule 1 is, batching is impossible and refused.
"""

from __future__ import annotations

from headrace import errors
from headrace.datatypes import Datatype
from headrace.errors import FieldViolation
from headrace.state.records import Batching, ServingConfig, Signature

PROPOSED_MAX_BATCH_SIZE = 64
"""Enough rows to fill the vector units of a small model; a large one reaches its rate earlier."""


def propose_config(signature: Signature, *, mixes_rows: bool = False) -> ServingConfig:
    """How to serve a version that takes and gives this, if its push says nothing else."""
    obstacle = mixes_rows or obstacle_to_batching(signature)
    batches = not obstacle and _named_alike(signature)
    if not batches:
        return ServingConfig()
    # Nobody asked for a limit: a request with more rows is run, alone.
    return ServingConfig(batching=Batching(PROPOSED_MAX_BATCH_SIZE, allow_larger_requests=True))


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
    if config.batching.max_batch_size > 0 and obstacle is not None:
        raise errors.InvalidArgument(
            "BATCHING_IMPOSSIBLE",
            f"max_batch_size is {config.batching.max_batch_size}, but {obstacle}: set it to 0, or "
            "export the model with a free first dimension everywhere",
            violations=(FieldViolation("serving_config.batching.max_batch_size", obstacle),),
        )


def obstacle_to_batching(signature: Signature) -> str | None:
    """Why rows of different requests cannot share one run, or None where they can."""
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


def _named_alike(signature: Signature) -> bool:
    specs = (*signature.inputs, *signature.outputs)
    names = {spec.dim_names[0] for spec in specs if spec.dim_names and spec.dim_names[0]}
    return len(names) <= 1
