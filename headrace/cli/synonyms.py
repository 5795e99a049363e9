"""Words that other tools use for a command of ours: the command, or advice where none does just that."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

SYNONYMS: Mapping[str, str] = {
    "ls": "models",
    "list": "models",
    "show": "model",
    "get": "model",
    "describe": "model",
    "predict": "infer",
    "run": "infer",
    "call": "infer",
    "complete": "generate",
    "completion": "generate",
    "embeddings": "embed",
    "upload": "push",
    "publish": "push",
    "optimize": "optimise",
    "quantize": "optimise",
    "compress": "optimise",
    "prune": "optimise",
    "register": "push",
    "rm": "delete",
    "remove": "delete",
    "start": "up",
    "ps": "status",
    "stats": "top",
    "metrics": "top",
    "events": "watch",
    "log": "watch",
    "history": "watch",
    "tag": "alias",
}
"""Hidden from the help; each does what the command does that it stands for."""

_PUSH = "`headrace push NAME model.onnx` adds a version to a suite that runs"
_ROUTE = "`headrace route NAME` shows where requests go and changes it"
_STOP = "Ctrl-C where `headrace up` runs stops the suite"
_LOADING = "versions are loaded by themselves; `headrace model NAME --keep-latest N` says how many"

ADVICE: Mapping[str, str] = {
    "deploy": f"{_PUSH}; `headrace serve model.onnx` starts one with it",
    "add": _PUSH,
    "create": f"{_PUSH}; `headrace model NAME --create` makes an empty model",
    "canary": f"{_ROUTE}: --canary VERSION --weight PERCENT",
    "promote": f"{_ROUTE}: --stable VERSION",
    "rollback": f"{_ROUTE}: --rollback",
    "rollout": _ROUTE,
    "stop": _STOP,
    "down": _STOP,
    "load": _LOADING,
    "unload": _LOADING,
    "logs": "the suite logs where it runs, to standard error",
    "dashboard": "the monitor serves a console; `headrace up` prints its address",
    "help": "`headrace --help` lists the commands, `headrace COMMAND --help` explains one",
    "version": "`headrace --version` prints the version of Headrace, `headrace versions NAME` a model's",
    "convert": "export the model to ONNX first: docs/export-your-model.md says how; "
    "`headrace import gguf` converts GGUF files",
    "export": "export the model to ONNX where it was trained: docs/export-your-model.md says how",
}
"""What to do instead, by the word."""


def meant_by(word: str) -> str:
    """The command that a word stands for; the word itself where it is no synonym."""
    return SYNONYMS.get(word, word)


def advice_for(word: str) -> str:
    """Return what to write instead of a word that names no command; '' where nothing is known of it."""
    if word in ADVICE:
        return ADVICE[word]
    path = Path(word)
    if word.endswith(".onnx") or path.is_dir():
        return f"`headrace serve {word}` serves it"
    return ""
