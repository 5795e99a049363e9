"""Writes headrace/client/sync_client.py and the modules of its bases from AsyncClient's classes.

Every public method gets a twin that waits for it, with its signature and its docstring, so that editors and
type checkers see them. With `--check` it writes nothing, and exits 1 if a file is stale.
"""

from __future__ import annotations

import argparse
import ast
import builtins
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "headrace" / "client"
OF_REGISTRY = (
    *("catalog", "push", "pulling", "routes", "replicas", "references", "annotations", "searches"),
)
OF_ACCESS = ("access", "audit")
OF_TEXT = ("generation", "encoding")
OF_OTHERS = ("inference", "explanations", "monitoring", "drift", "alerts", "quality")
"""The modules with the classes that AsyncClient inherits, in the order of their methods."""

IMPORTS = """
from __future__ import annotations

import copy
from collections.abc import Generator
from types import TracebackType
from typing import TYPE_CHECKING, Self

from headrace.client.async_client import AsyncClient
from headrace.client.loop_thread import LoopThread
{imports}

if TYPE_CHECKING:  # numpy is loaded by the first inference
    pass
    {numpy_imports}

"""

REGISTRY_HEAD = '''"""The registry for code without an event loop: every method waits for AsyncClient's.

Written by `make pages` from AsyncClient: change that.
"""
'''

REGISTRY_CLASS = '''
class BlockingRegistryCalls:
    """Models, versions, aliases, routes, pushes, replicas, references and annotations."""

    _async: AsyncClient
    _thread: LoopThread
'''

ACCESS_HEAD = '''"""Access and audit for code without an event loop: every method waits for AsyncClient's.

Written by `make pages` from AsyncClient: change that.
"""
'''

ACCESS_CLASS = '''
class BlockingAccessCalls:
    """API keys, roles, grants and the audit."""

    _async: AsyncClient
    _thread: LoopThread
'''

TEXT_HEAD = '''"""Models of text for code without an event loop: every method waits for AsyncClient's.

Written by `make pages` from AsyncClient: change that.
"""
'''

TEXT_CLASS = '''
class BlockingTextCalls:
    """Chat, generate, score, embed and rerank."""

    _async: AsyncClient
    _thread: LoopThread
'''

BASES = """
from headrace.client.sync_access import BlockingAccessCalls
from headrace.client.sync_registry import BlockingRegistryCalls
from headrace.client.sync_text import BlockingTextCalls
"""

HEAD = '''"""The client of the suite for code without an event loop: every method waits for AsyncClient's.

Written by `make pages` from AsyncClient: change that.
"""
'''

CLASS = '''
class Client(BlockingRegistryCalls, BlockingAccessCalls, BlockingTextCalls):
    """Push, route, infer and watch: `with Client() as client`. Threads may share one.

    So may a process and those that it forks, as long as none was connected before: see `forking`.

    Arguments, errors and what each method promises are those of `AsyncClient`. Leaving the block, or
    `close`, ends the connections and the thread behind them.
    """

    def __init__({parameters}) -> None:
        self._async = AsyncClient({arguments})
        self._thread = LoopThread()

    def __enter__(self) -> Self:
        """The client itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def because(self, reason: str) -> Self:
        """The same client, over the same connections, whose changes have this reason in the change log.

        Closing one closes both. Raises ValueError for a reason that is too long, or of several lines.
        """
        other = copy.copy(self)
        other._async = self._async.because(reason)  # noqa: SLF001  # of its own class
        return other

    def close(self) -> None:
        """End the connections and the thread; calls still running end as cancelled."""
        if not self._thread.closed:
            self._thread.run(self._async.close())
            self._thread.close()
'''

Method = ast.AsyncFunctionDef | ast.FunctionDef


@dataclass(frozen=True)
class Module:
    """A module of the client, and where the names come from that it uses."""

    name: str
    tree: ast.Module

    @staticmethod
    def read(name: str) -> Module:
        """The module headrace.client.NAME."""
        text = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
        return Module(f"headrace.client.{name}", ast.parse(text))

    def methods(self) -> Iterator[ast.AsyncFunctionDef]:
        """The public methods of its classes."""
        for cls in self.tree.body:
            for node in cls.body if isinstance(cls, ast.ClassDef) else ():
                if isinstance(node, ast.AsyncFunctionDef) and not node.name.startswith("_"):
                    yield node

    def origins(self) -> dict[str, tuple[str, bool]]:
        """By name: the module that it is imported from, and whether for type checkers alone."""
        found = {}
        for node in self.tree.body:
            match node:
                case ast.ClassDef(name) | ast.Assign([ast.Name(name)]):
                    found[name] = (self.name, False)
                case ast.ImportFrom():
                    found |= dict.fromkeys(_imported(node), (str(node.module), False))
                case ast.If(ast.Name("TYPE_CHECKING"), body):
                    for inner in (one for one in body if isinstance(one, ast.ImportFrom)):
                        found |= dict.fromkeys(_imported(inner), (str(inner.module), True))
        return found


def _imported(node: ast.ImportFrom) -> list[str]:
    return [alias.asname or alias.name for alias in node.names]


def sources() -> dict[Path, str]:
    """The texts of the modules, formatted, by path."""
    client = Module.read("async_client")
    init = _init(client.tree)
    head = CLASS.format(parameters=ast.unparse(init.args), arguments=_arguments(init))
    registry = _source(REGISTRY_HEAD, REGISTRY_CLASS, OF_REGISTRY)
    access = _source(ACCESS_HEAD, ACCESS_CLASS, OF_ACCESS)
    text = _source(TEXT_HEAD, TEXT_CLASS, OF_TEXT)
    others = _source(HEAD, head, OF_OTHERS, [(client, init)], BASES)
    texts = {
        "sync_registry.py": registry,
        "sync_access.py": access,
        "sync_text.py": text,
        "sync_client.py": others,
    }
    return {FOLDER / name: text for name, text in texts.items()}


def _source(
    docstring: str,
    head: str,
    names: Sequence[str],
    more: Sequence[tuple[Module, Method]] = (),
    bases: str = "",
) -> str:
    methods = [(module, one) for module in map(Module.read, names) for one in module.methods()]
    signatures = [*more, *methods]
    imports = IMPORTS.format(
        imports="\n".join([bases, *_imports(signatures, for_checkers=False)]),
        numpy_imports="\n    ".join(_imports(signatures, for_checkers=True)),
    )
    return _formatted("\n".join([docstring + imports + head, *(_twin(one) for _, one in methods)]))


def _init(tree: ast.Module) -> ast.FunctionDef:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            return node
    raise SystemExit("AsyncClient has no __init__")


def _imports(signatures: Sequence[tuple[Module, Method]], *, for_checkers: bool) -> list[str]:
    needed: set[str] = set()
    for module, method in signatures:
        origins = module.origins()
        for name in _names(method) - {"AsyncGenerator"} - {*dir(builtins)}:
            where, only_checked = origins[name]
            if only_checked == for_checkers:
                needed.add(f"from {where} import {name}")
    return sorted(needed)


def _names(method: Method) -> set[str]:
    parts = [method.args, *([method.returns] if method.returns else [])]
    return {node.id for part in parts for node in ast.walk(part) if isinstance(node, ast.Name)}


def _twin(method: ast.AsyncFunctionDef) -> str:
    returns = ast.unparse(method.returns) if method.returns else "None"
    call = f"self._async.{method.name}({_arguments(method)})"
    if returns.startswith("AsyncGenerator["):
        item = returns.removeprefix("AsyncGenerator[").removesuffix(", None]")
        returns, body = (
            f"Generator[{item}, None, None]",
            f"return self._thread.iterate(lambda: {call})",
        )
    else:
        body = f"{'' if returns == 'None' else 'return '}self._thread.run({call})"
    docstring = ast.get_docstring(method, clean=False)
    return f'''
    def {method.name}({ast.unparse(method.args)}) -> {returns}:
        """{docstring}"""
        {body}
'''


def _arguments(method: Method) -> str:
    """Each parameter handed on as it was given."""
    places = [argument.arg for argument in method.args.args if argument.arg != "self"]
    named = [f"{one.arg}={one.arg}" for one in method.args.kwonlyargs]
    rest = [f"**{method.args.kwarg.arg}"] if method.args.kwarg else []
    return ", ".join([*places, *named, *rest])


def _formatted(text: str) -> str:
    for command in (["check", "--fix", "--select=I,F401,PIE790,TC005", "--quiet"], ["format"]):
        run = [
            sys.executable,
            "-m",
            "ruff",
            *command,
            "--stdin-filename",
            str(FOLDER / "sync.py"),
            "-",
        ]
        text = subprocess.run(
            run, input=text, capture_output=True, text=True, check=True, cwd=ROOT
        ).stdout
    return text


def main() -> None:
    """Writes the client, or checks it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say whether the file is stale")
    check = parser.parse_args().check
    for path, fresh in sources().items():
        if not check:
            path.write_text(fresh, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != fresh:
            raise SystemExit(f"stale: {path.relative_to(ROOT)}; run: make pages")


if __name__ == "__main__":
    main()
