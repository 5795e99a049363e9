"""The signatures of versions of text; generative ones have the tensors of Triton's vLLM backend.

A request for text brings one prompt as it is, without a chat template, and no row to batch. What is asked
for by a `return_…` input, or by naming the output, is answered beside the text; all else is left out.
"""

from __future__ import annotations

from headrace.datatype_names import Datatype
from headrace.state.records import Signature, TensorSpec

TEXT_INPUT = "text_input"
STREAM = "stream"
"""Whether the answer comes in pieces: each response then has the new text alone."""
SAMPLING_PARAMETERS = "sampling_parameters"
"""A JSON object as a text, with vLLM's names; where it is given, the request's parameters do not count."""
EXCLUDE_INPUT = "exclude_input_in_output"
"""Whether the text begins behind the prompt; default false, and true in a stream, which never has it."""

TEXT_OUTPUT = "text_output"
"""One element for each of the `n` answers."""
FINISH_REASON = "finish_reason"
CUMULATIVE_LOGPROB = "cumulative_logprob"
LOGPROBS = "logprobs"
"""JSON: for each token an object of the tokens' log-probabilities by id."""
INPUT_TOKENS = "num_input_tokens"
OUTPUT_TOKENS = "num_output_tokens"
"""In a stream: those since the response before."""

RETURNED_BY = {
    f"return_{name}": name
    for name in (FINISH_REASON, CUMULATIVE_LOGPROB, LOGPROBS, INPUT_TOKENS, OUTPUT_TOKENS)
}
"""The output that each of these BOOL inputs asks for."""


def _one(name: str, datatype: Datatype) -> TensorSpec:
    return TensorSpec(name, datatype, (1,), ("",))


def _each(name: str, datatype: Datatype) -> TensorSpec:
    return TensorSpec(name, datatype, (-1,), ("",))


GENERATION_SIGNATURE = Signature(
    inputs=(_one(TEXT_INPUT, Datatype.BYTES),),
    outputs=(
        _each(TEXT_OUTPUT, Datatype.BYTES),
        _each(FINISH_REASON, Datatype.BYTES),
        _each(CUMULATIVE_LOGPROB, Datatype.FP32),
        _each(LOGPROBS, Datatype.BYTES),
        _one(INPUT_TOKENS, Datatype.UINT32),
        _each(OUTPUT_TOKENS, Datatype.UINT32),
    ),
    optional_inputs=(
        _one(STREAM, Datatype.BOOL),
        _one(SAMPLING_PARAMETERS, Datatype.BYTES),
        _one(EXCLUDE_INPUT, Datatype.BOOL),
        *(_one(name, Datatype.BOOL) for name in RETURNED_BY),
    ),
)

TEXT = "text"
EMBEDDING = "embedding"
QUERY = "query"
DOCUMENTS = "documents"
SCORE = "score"


def embedding_signature(size: int) -> Signature:
    """Return the tensors of a version that embeds: texts, and a vector of so many numbers for each."""
    vectors = TensorSpec(EMBEDDING, Datatype.FP32, (-1, size), ("", ""))
    return Signature(inputs=(_each(TEXT, Datatype.BYTES),), outputs=(vectors,))


RERANK_SIGNATURE = Signature(
    inputs=(_one(QUERY, Datatype.BYTES), _each(DOCUMENTS, Datatype.BYTES)),
    outputs=(_each(SCORE, Datatype.FP32),),
)
"""A query and documents, and a score from 0 to 1 for each document."""
