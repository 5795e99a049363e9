"""What `import headrace` offers, and what it costs."""

from __future__ import annotations

import subprocess
import sys

import headrace
import headrace.client


def test_all_names_are_there_and_sorted() -> None:
    """Every public name can be had, once, in order."""
    for module in (headrace, headrace.client):
        assert sorted(set(module.__all__)) == module.__all__
        assert all(getattr(module, name) is not None for name in module.__all__)


def test_every_public_name_is_listed_by_dir() -> None:
    """Tools that look at the module find what it offers."""
    assert set(headrace.__all__) <= set(dir(headrace))


def test_import_loads_nothing_heavy() -> None:
    """`import headrace` brings neither grpc nor numpy nor protobuf."""
    check = "import headrace, sys; print(sorted({'grpc', 'numpy', 'google'} & set(sys.modules)))"

    output = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {check}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert output == "[]\n"


def test_other_names_are_no_attributes() -> None:
    """A name that is not offered is an AttributeError."""
    assert not hasattr(headrace, "Nothing")
