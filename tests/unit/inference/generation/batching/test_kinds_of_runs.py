"""A decoder is run in the fastest way that its graph allows."""

from __future__ import annotations

import pytest

from headrace_inference.adapters.generation.copied_runs import CopiedRuns
from headrace_inference.adapters.generation.shared_buffer_runs import SharedBufferRuns
from tests.unit.inference.generation.batching.engines import open_tiny_decoder


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("tiny_llama", SharedBufferRuns),
        ("tiny_qwen", SharedBufferRuns),
        ("tiny_mistral", SharedBufferRuns),
        ("tiny_optimum", CopiedRuns),
    ],
)
def test_grouped_attention_shares_a_buffer(
    model: str, kind: type, request: pytest.FixtureRequest
) -> None:
    """Graphs in genai's form read and write one buffer, those of plain operators hand copies on."""
    decoder = open_tiny_decoder(request.getfixturevalue(model).folder, 2)
    assert type(decoder._runs) is kind
