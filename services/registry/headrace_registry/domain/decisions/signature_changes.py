"""Finds what would break callers of one version that are answered by another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from headrace import errors
from headrace.state.records import Signature, TensorSpec, VersionRecord

_SHOWN_CHARS = 80
_SHOWN_CHANGES = 20


def breaking_changes(before: VersionRecord, after: VersionRecord) -> tuple[str, ...]:
    """Return what callers of `before` cannot rely on any more when `after` answers, a phrase each.

    Versions of different kinds are asked in different ways, whatever their tensors are called.
    """
    if before.kind is not after.kind:
        return (f"it is one of {after.kind.value}, not of {before.kind.value}",)
    return (*_lost(before, after), *signature_changes(before.signature, after.signature))


def signature_changes(before: Signature, after: Signature) -> tuple[str, ...]:
    """Return the same of versions of one kind, by what they take and give.

    A version may accept more (a fixed dimension that became free, a new optional input) and promise more
    (a new output, a free dimension of an output that became fixed). Where dimensions of inputs became
    free, those of outputs may have, too: who sends what was sent before gets what came before. Names of
    dimensions and the order of tensors mean nothing.
    """
    return (*_input_changes(before, after), *_output_changes(before, after))


def check_signature(before: VersionRecord | None, after: VersionRecord, *, allowed: bool) -> None:
    """Pass if `after` can take the place of `before`, None where that is lost.

    Raises FailedPrecondition (SIGNATURE_CHANGED).
    """
    if before is None or allowed:
        return
    changes = breaking_changes(before, after)
    if changes:
        raise errors.FailedPrecondition(
            "SIGNATURE_CHANGED",
            f"version {after.number} of {after.model} would break callers of version {before.number}: "
            f"{listed(changes)}; give the new signature a model of its own, or insist with "
            "allow_signature_change",
            facts={
                "model": after.model,
                "version": str(after.number),
                "replaces": str(before.number),
            },
        )


def listed(changes: Sequence[str]) -> str:
    """The changes in one line; of very many the first."""
    more = len(changes) - _SHOWN_CHANGES
    return "; ".join((*changes[:_SHOWN_CHANGES], *([f"{more} more"] if more > 0 else [])))


def _lost(before: VersionRecord, after: VersionRecord) -> Iterator[str]:
    """Return what a version of text could be asked for and cannot any more, such as a chat."""
    if before.language and after.language:
        for capability in before.language.capabilities:
            if capability not in after.language.capabilities:
                yield f"it cannot be asked for {capability!r}"


def _input_changes(before: Signature, after: Signature) -> Iterator[str]:
    known, now = _inputs(before), _inputs(after)
    for name, spec in known.items():
        if name not in now:
            yield f"{_name('input', spec)} is gone"
        elif spec.datatype is not now[name].datatype or not _holds(now[name], spec):
            yield _changed("input", spec, now[name])
    for spec in after.inputs:
        if spec.name not in known:
            yield f"{_name('input', spec)} ({_type(spec)}) is new"
        elif known[spec.name] in before.optional_inputs:
            yield f"{_name('input', spec)} was optional and is required"


def _output_changes(before: Signature, after: Signature) -> Iterator[str]:
    now = {spec.name: spec for spec in after.outputs}
    may_follow = _accepts_more(before, after)
    for spec in before.outputs:
        if spec.name not in now:
            yield f"{_name('output', spec)} is gone"
        elif spec.datatype is not now[spec.name].datatype or not (
            _holds(spec, now[spec.name]) or (may_follow and _holds(now[spec.name], spec))
        ):
            yield _changed("output", spec, now[spec.name])


def _inputs(signature: Signature) -> dict[str, TensorSpec]:
    return {spec.name: spec for spec in (*signature.inputs, *signature.optional_inputs)}


def _accepts_more(before: Signature, after: Signature) -> bool:
    """Return whether an input takes shapes that it did not take before."""
    now = _inputs(after)
    return any(
        name in now and not _holds(spec, now[name]) for name, spec in _inputs(before).items()
    )


def _holds(wide: TensorSpec, narrow: TensorSpec) -> bool:
    """Return whether every tensor of the narrow shape has the wide one, too."""
    if wide.unranked or narrow.unranked:
        return wide.unranked
    return len(wide.shape) == len(narrow.shape) and all(
        size in (-1, other) for size, other in zip(wide.shape, narrow.shape, strict=True)
    )


def _changed(kind: str, was: TensorSpec, now: TensorSpec) -> str:
    return f"{_name(kind, was)} was {_type(was)} and is {_type(now)}"


def _name(kind: str, spec: TensorSpec) -> str:
    return f"{kind} {spec.name[:_SHOWN_CHARS]!r}"


def _type(spec: TensorSpec) -> str:
    shape = "of any shape" if spec.unranked else str(list(spec.shape))
    return f"{spec.datatype.value} {shape}"
