"""The paths that files of an artifact may have."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from headrace import errors
from headrace.client.artifact import open_artifact
from headrace.model_files.artifact_names import ArtifactPaths

COMPOSED = "poids_\N{LATIN SMALL LETTER E WITH ACUTE}.bin"
DECOMPOSED = unicodedata.normalize("NFD", COMPOSED)


@pytest.mark.parametrize(
    ("names", "refused"),
    [
        (["model.onnx", "weights/a.bin", "weights/b.bin", "README"], None),
        ([COMPOSED], None),
        ([DECOMPOSED], None),
        (["null.bin", "console", "com10", "aux_1.bin", "nul_.txt"], None),
        ([".hidden", "a.b.c"], None),
        (["a.bin", "A.bin"], "'a.bin' and 'A.bin', whose names differ in case"),
        (["w/a", "W/b"], "'w' and 'W', whose names differ in case"),
        (["w", "W/b"], "'w' and 'W', whose names differ in case"),
        (["stra\N{LATIN SMALL LETTER SHARP S}e", "STRASSE"], "differ in case"),
        ([COMPOSED, DECOMPOSED], "differ in how Unicode composes their letters"),
        (["a", "a"], "more than one entry 'a'"),
        (["a", "./a"], "more than one entry 'a'"),
        (["a/b", "a"], "more than one entry 'a'"),
        (["a", "a/b"], "more than one entry 'a'"),
        (["NUL"], "'NUL' is the name of a device"),
        (["weights/com1.bin"], "'com1.bin' is the name of a device"),
        (["aux .txt"], "'aux .txt' is the name of a device"),
        (["prn/x"], "'prn' is the name of a device"),
        (["a."], "may not end with a dot or a space"),
        (["folder /x"], "may not end with a dot or a space"),
        (["a:b"], "plain names"),
        (["../a"], "stay inside"),
        (["\udcff"], "plain names"),
    ],
)
def test_names_that_are_not_the_same_file_everywhere_are_refused(
    names: list[str], refused: str | None
) -> None:
    """A refusal shows the names; what every system tells apart is taken."""
    paths = ArtifactPaths()
    if refused is None:
        assert names == [paths.add(name).as_posix() for name in names]
        return
    with pytest.raises(errors.InvalidArgument) as raised:
        list(map(paths.add, names))
    assert refused in raised.value.message
    assert raised.value.reason in ("ARCHIVE_UNSAFE_PATH", "ARCHIVE_DUPLICATE_PATH")


def test_the_client_refuses_them_before_it_sends_anything(tmp_path: Path) -> None:
    """A folder with such names is not packed."""
    for name in ("model.onnx", "Weights.bin", "weights.bin"):
        (tmp_path / name).write_bytes(b"x")
    opening = open_artifact(tmp_path, lambda _: None)
    with pytest.raises(errors.InvalidArgument, match="differ in case only"):
        opening.__enter__()
