"""`headrace import gguf`."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from headrace.cli.command import Cli, command
from headrace.cli.completion import model_names
from headrace.cli.insistence import AllowSignatureChange
from headrace.cli.output import size
from headrace.cli.progress_bars import progress_bars
from headrace.cli.push import Alias, ConfigFile, Description, SignKey, Wait, push
from headrace.language.weight_format import WeightFormat

GgufPath = Annotated[
    Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="A .gguf file.")
]
Name = Annotated[
    str,
    typer.Argument(
        help="The model that it becomes a version of; it is created if there is none.",
        autocompletion=model_names,
    ),
]
Weights = Annotated[WeightFormat, typer.Option(help="The numbers to keep the weights in.")]
Context = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="How many tokens a prompt and its answer have at most; without it, the model's.",
        show_default=False,
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        file_okay=False,
        help="Keep the ONNX folder here, which must be empty or not there; without NAME nothing is pushed.",
    ),
]


def register(group: typer.Typer) -> None:
    """Add the command."""
    command(group, "gguf", changes=True)(gguf)


async def gguf(
    cli: Cli,
    file: GgufPath,
    name: Name = "",
    weights: Weights = WeightFormat.INT8,
    context: Context = None,
    output: Output = None,
    alias: Alias = "",
    config: ConfigFile = None,
    description: Description = "",
    sign_key: SignKey = None,
    wait: Wait = False,
    allow_signature_change: AllowSignatureChange = False,
) -> None:
    """Push a language model from a GGUF file: it becomes ONNX, with its tokenizer and chat template.

    The architectures llama (Mistral and SmolLM are such), qwen2 and qwen3 can be imported; others are
    refused by name. int8 answers nearly as the file's own numbers do; int4 keeps the feed-forward layers
    at 4 bits: smaller, and less exact. It needs `pip install 'headrace[language]'`.
    """
    _check(name, output)
    if name:
        async with cli.client() as client:
            await client.revision()  # before minutes of work, not after them
    with _folder(output) as folder:
        made = await _import(cli, file, folder, weights, context)
        if not name:
            cli.show(made, lambda: f"wrote {made.folder}: {made.described}")
            return
        await push(
            cli,
            name,
            folder,
            alias=alias,
            config=config,
            description=description or f"{made.name}, {weights}",
            sign_key=sign_key,
            wait=wait,
            allow_signature_change=allow_signature_change,
        )


@dataclass(frozen=True, slots=True)
class ImportedFolder:
    """A folder that was written, for people and for JSON."""

    folder: str
    name: str
    architecture: str
    weights: str
    context_length: int
    size_bytes: int

    @property
    def described(self) -> str:
        """The folder in one line."""
        kept = f"{self.context_length} tokens, {size(self.size_bytes)}"
        return f"{self.architecture}, {self.weights}, {kept}"


def _check(name: str, folder: Path | None) -> None:
    """Find what is wrong with the arguments together. Raises typer.BadParameter."""
    from headrace.resource_names import check_model_name

    if name:
        check_model_name(name)
    elif folder is None:
        raise typer.BadParameter("say what it becomes: NAME pushes it, --output FOLDER keeps it")
    if folder is not None and folder.exists() and any(folder.iterdir()):
        raise typer.BadParameter(
            f"{folder} has files in it already: --output takes an empty folder"
        )


@contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    """Make the folder to write into; one that is not kept goes at the end."""
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept
        return
    with tempfile.TemporaryDirectory(prefix="headrace-gguf-") as folder:
        yield Path(folder)


@contextmanager
def _none_half_written(folder: Path) -> Iterator[None]:
    """Take the files away again where they did not all come to be."""
    try:
        yield
    except BaseException:
        for each in folder.iterdir():
            each.unlink()
        raise


async def _import(
    cli: Cli, file: Path, folder: Path, weights: WeightFormat, context: int | None
) -> ImportedFolder:
    from headrace.language.gguf.importing import import_gguf

    with progress_bars(cli) as bars, _none_half_written(folder):
        made = await asyncio.to_thread(
            import_gguf,
            file,
            folder,
            weights,
            context,
            lambda done, total: bars("writing", done, total, f"{done} of {total} parts"),
        )
    return ImportedFolder(
        folder=str(folder),
        name=made.name or file.stem,
        architecture=made.architecture,
        weights=weights,
        context_length=made.shape.context_length,
        size_bytes=made.size_bytes,
    )
