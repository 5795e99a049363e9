"""What `import headrace` offers, and what it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

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


HEAVY = {"aiohttp", "google", "grpc", "msgspec", "numpy", "onnx", "onnxruntime", "redis"}


@pytest.mark.parametrize(
    "module",
    ["headrace", "headrace.client", "headrace.client.settings", "headrace.local.run"],
)
def test_import_loads_nothing_heavy(module: str) -> None:
    """Neither `import headrace` nor what runs the suite brings libraries of tensors, calls or Redis."""
    assert loaded_by(module) & HEAVY == set()


def test_registry_loads_no_numpy() -> None:
    """The registry reads models in processes of their own, and holds no library of tensors for that."""
    assert (
        loaded_by("headrace_registry.app") & {"ml_dtypes", "numpy", "onnx", "onnxruntime"} == set()
    )


def test_idle_replica_loads_no_onnx_runtime() -> None:
    """A replica without a version has no library of models; the first version brings it."""
    assert loaded_by("headrace_inference.app") & {"onnx", "onnxruntime"} == set()


def loaded_by(module: str) -> set[str]:
    """The top-level names that a process has loaded after it imported a module."""
    check = f"import {module}, sys; print(*(name for name in sys.modules if '.' not in name))"
    command = f"import sys; sys.path[:0] = {sys.path!r}; {check}"
    output = subprocess.run(
        [sys.executable, "-I", "-S", "-c", command], capture_output=True, text=True, check=True
    ).stdout
    return set(output.split())


def test_other_names_are_no_attributes() -> None:
    """A name that is not offered is an AttributeError."""
    assert not hasattr(headrace, "Nothing")
