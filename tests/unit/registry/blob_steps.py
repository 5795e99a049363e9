"""Versions that come and go with the blobs that they have, for tests of what follows catalogs."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from headrace.state.records import ArtifactFile, VersionRecord
from tests.unit.inference.doubles import version

BLOBS, MODELS = "abcd", ("m", "n")
STEPS = st.lists(
    st.tuples(
        st.sampled_from(MODELS),
        st.integers(1, 3),
        st.one_of(st.none(), st.lists(st.sampled_from(BLOBS), max_size=3)),
    ),
    max_size=8,
)
"""A model, a number, and the blobs of that version from now on; None: it goes."""


def version_with(model: str, number: int, blobs: list[str]) -> VersionRecord:
    """A version with these blobs."""
    files = tuple(ArtifactFile(f"f{at}", 1, blob) for at, blob in enumerate(blobs))
    return replace(version(number, model), files=files)
