"""What every test may use: coroutine tests, a real Redis-protocol server, a namespace of one's own."""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import inspect
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from headrace.local import embedded_redis
from scripts.compile_elements import compile_into

if TYPE_CHECKING:
    from tests.language.tiny_models import TinyModel

for _name in [name for name in os.environ if name.lower().endswith("_proxy")]:
    del os.environ[_name]  # every server of the tests is on this machine


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep what is collected, half a million objects that last, out of every later search for garbage."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that is a coroutine function on a fresh event loop, with its fixtures."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


@pytest.fixture(scope="session")
def compiled_elements(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The compiled reader and writer of texts, made anew; skips where there is no compiler."""
    try:
        path = compile_into(tmp_path_factory.mktemp("compiled"), checked=True)
    except FileNotFoundError as error:
        pytest.skip(f"no compiler: {error}")
    spec = importlib.util.spec_from_file_location("headrace._compiled_elements", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real server for the whole run; tests keep apart by `namespace`, and never kill it."""
    data: Path = tmp_path_factory.mktemp("redis")
    server = embedded_redis.open_embedded_server(data)
    with asyncio.Runner() as runner:
        yield runner.run(server.__aenter__())
        runner.run(server.__aexit__(None, None, None))


@pytest.fixture
def namespace() -> str:
    """A namespace in the shared state that no other test uses."""
    return f"test-{uuid4().hex[:12]}"


def _tiny_model(factory: pytest.TempPathFactory, name: str) -> TinyModel:
    from tests.language import tiny_models  # only those that ask for one load tokenizers

    shape = {
        "llama": tiny_models.LLAMA,
        "qwen2": tiny_models.QWEN,
        "mistral": tiny_models.MISTRAL,
    }[name]
    return tiny_models.write_tiny_model(factory.mktemp(name), shape, architecture=name)


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory) -> TinyModel:
    """A tiny decoder as Llama 3's, with tokenizer and chat template; written once, not to be changed."""
    return _tiny_model(tmp_path_factory, "llama")


@pytest.fixture(scope="session")
def tiny_qwen(tmp_path_factory: pytest.TempPathFactory) -> TinyModel:
    """The same with biases and a tied head, as Qwen2's."""
    return _tiny_model(tmp_path_factory, "qwen2")


@pytest.fixture(scope="session")
def tiny_optimum(tmp_path_factory: pytest.TempPathFactory) -> TinyModel:
    """The numbers of `tiny_llama` as `optimum` exports a decoder: with positions, and a growing cache."""
    from tests.language.optimum_form import write_optimum_model

    return write_optimum_model(tmp_path_factory.mktemp("optimum"))


@pytest.fixture(scope="session")
def tiny_mistral(tmp_path_factory: pytest.TempPathFactory) -> TinyModel:
    """The same with a sliding window, as Mistral's."""
    return _tiny_model(tmp_path_factory, "mistral")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name bytes that are no text by their argument.

    Archives hold the time of their making: processes that run the tests would collect different ones.
    """
    is_binary = isinstance(val, bytes) and not (val.isascii() and val.decode().isprintable())
    return argname if is_binary else None
