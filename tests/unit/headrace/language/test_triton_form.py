"""Clients of Triton's vLLM backend find its tensors on every generative version."""

from __future__ import annotations

from headrace.datatype_names import Datatype
from headrace.language.triton_form import GENERATION_SIGNATURE, RETURNED_BY


def test_a_prompt_is_all_that_is_needed() -> None:
    """One text; the rest are optional, and each output that can be asked for has its input."""
    signature = GENERATION_SIGNATURE
    assert [("text_input", Datatype.BYTES, (1,))] == [
        (one.name, one.datatype, one.shape) for one in signature.inputs
    ]
    optional = {one.name: one.datatype for one in signature.optional_inputs}
    assert {"stream", "sampling_parameters", "exclude_input_in_output", *RETURNED_BY} == set(
        optional
    )
    assert {"text_output", *RETURNED_BY.values()} == {one.name for one in signature.outputs}
