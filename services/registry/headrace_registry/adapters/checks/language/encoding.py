"""Recognises versions that embed or rerank, and checks them: their files, their graph, and one text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from headrace import errors
from headrace.datatypes import NUMPY_DTYPES
from headrace.language.encoder_files import EncoderFiles, encoder_root, read_encoder_files
from headrace.language.encoder_graph import MASK, POSITIONS, TOKENS, encoder_graph
from headrace.language.folder_layout import TOKENIZER
from headrace.language.language_files import invalid
from headrace.language.tokenizer import TextTokenizer, tokenizer_digest
from headrace.language.triton_form import RERANK_SIGNATURE, embedding_signature
from headrace.onnx_runtime.errors import clean_message
from headrace.state.language_records import VersionKind
from headrace.state.records import ServingConfig
from headrace_registry.adapters.batch_invariance.isolation import analyse_apart
from headrace_registry.adapters.batch_invariance.trial import RUN_ERRORS
from headrace_registry.adapters.checks.language.candidate import Candidate, Check, CheckedText
from headrace_registry.adapters.checks.language.weights import weights_of

Array = npt.NDArray[Any]

_KINDS = (VersionKind.EMBEDDING, VersionKind.RERANK)
_GREETING = "Hello"
_LONGEST = 512
"""Tokens of the text that is tried: of longer ones the time and the memory grow with the square."""
_SILENT = 4
_MEMORY_SIGNS = ("allocate", "bad_alloc")


def recognise_encoder(candidate: Candidate) -> Check | None:
    """Return the check of graphs that make vectors or scores of tokens, where files say how.

    Raises InvalidArgument for files that cannot be read, or that list what is not supported.
    """
    if candidate.kind not in (None, *_KINDS):
        return None
    files = _files(candidate)
    if files is None and candidate.kind is not None:
        raise invalid(
            f"it is pushed as one of {candidate.kind.value}, and no modules.json says how the vectors of "
            "tokens become one: push it with encoding.pooling, such as 'mean' (a reranker has one logit)"
        )
    if files is None or candidate.kind not in (None, files.kind):
        return None
    return check_encoder


def check_encoder(candidate: Candidate) -> CheckedText:
    """Return the findings on an encoder.

    Raises InvalidArgument (LANGUAGE_FILES_INVALID, ENCODER_UNSUPPORTED, TOKENIZER_MISMATCH,
    ENCODING_FAILED, MODEL_REFUSED), FailedPrecondition (LANGUAGE_EXTRA_MISSING).
    """
    files = _files(candidate)
    assert files is not None
    proof = analyse_apart(candidate.model)  # before there are threads, for it forks
    path = _root(candidate) / TOKENIZER
    tokenizer = _tokenizer(path, files)
    longest = _longest(tokenizer, files)
    size = _encode(candidate.open(), files, longest)
    facts = files.facts(tokenizer_digest(path), size, weights_of(candidate.model))
    is_reranker = files.kind is VersionKind.RERANK
    signature = RERANK_SIGNATURE if is_reranker else embedding_signature(size)
    notices = (f"texts may run one at a time: {proof.obstacle}",) if proof.obstacle else ()
    return CheckedText(facts, signature, ServingConfig(), notices)


def _files(candidate: Candidate) -> EncoderFiles | None:
    graph = encoder_graph(candidate.ends)
    if graph is None or encoder_root(candidate.folder, candidate.graph_path) is None:
        return None
    return read_encoder_files(_root(candidate), graph, candidate.asked.encoding)


def _root(candidate: Candidate) -> Path:
    root = encoder_root(candidate.folder, candidate.graph_path)
    assert root is not None
    return root


def _tokenizer(path: Path, files: EncoderFiles) -> TextTokenizer:
    tokenizer = TextTokenizer(path)
    if files.vocabulary_size and tokenizer.size > files.vocabulary_size:
        raise errors.InvalidArgument(
            "TOKENIZER_MISMATCH",
            f"the encoder is not taken: {path.name} has tokens up to {tokenizer.size - 1}, and config.json "
            f"says that there are {files.vocabulary_size}; the tokenizer is that of another model",
        )
    return tokenizer


def _longest(tokenizer: TextTokenizer, files: EncoderFiles) -> Sequence[int]:
    """Return a text as long as the version takes: it must have positions for all of it."""
    tokens = tokenizer.encode(_GREETING, add_special_tokens=True) or [0]
    length = min(files.context_length, _LONGEST)
    return (tokens * length)[:length]


def _encode(session: Any, files: EncoderFiles, tokens: Sequence[int]) -> int:
    """Return the width of the vector of a text. Raises InvalidArgument (ENCODING_FAILED), MemoryError."""
    from onnxruntime import RunOptions

    options = RunOptions()
    options.log_severity_level = _SILENT
    try:
        output: Array = session.run([files.output], _inputs(files, tokens), options)[0]
    except RUN_ERRORS as error:
        said = clean_message(str(error))
        if isinstance(error, MemoryError) or any(sign in said for sign in _MEMORY_SIGNS):
            raise MemoryError(said) from error
        raise _failed(f"its graph does not run on {len(tokens)} tokens: {said}") from error
    return _width(files, output)


def _inputs(files: EncoderFiles, tokens: Sequence[int]) -> dict[str, Array]:
    """One text in the first row; the others, and what is behind it, are padding."""
    graph, first = files.graph, files.first_position
    length, rows = graph.fixed_length or len(tokens), graph.fixed_rows or 1
    own = min(length, len(tokens))
    values: dict[str, Array] = {
        name: np.zeros((rows, length), NUMPY_DTYPES[kind]) for name, kind in graph.inputs.items()
    }
    values[TOKENS][0, :own] = tokens[:own]
    if MASK in values:
        values[MASK][:, :own] = 1
    if POSITIONS in values:
        values[POSITIONS][:] = np.arange(first, first + length)
    return values


def _width(files: EncoderFiles, output: Array) -> int:
    is_per_token = files.output == files.graph.token_output
    expected = 3 if is_per_token else 2
    if output.ndim != expected:
        raise _failed(
            f"its output {files.output!r} has the shape {list(output.shape)}; it has to have "
            f"{expected} dimensions"
        )
    if not np.isfinite(output).all():
        raise _failed("its output has values that are no finite numbers")
    return int(output.shape[-1])


def _failed(what: str) -> errors.InvalidArgument:
    return errors.InvalidArgument(
        "ENCODING_FAILED", f"the encoder is not taken, for it encoded no text: {what}"
    )
