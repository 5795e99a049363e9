"""`headrace versions`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from headrace.cli import output
from headrace.cli.arguments import ModelName
from headrace.cli.command import Cli, command
from headrace.cli.error_report import printable

if TYPE_CHECKING:
    from headrace.client import Version
    from headrace.state.records import Signature, TensorSpec

COLUMNS = ("version>", "pushed", "size>", "digest", "takes", "gives", "batch>", "description")

MOST_OPTIONAL = 4
"""Some exporters list every weight as an input."""
MOST_DESCRIBED = 40
"""Characters of a description in a row; --json has all."""


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "versions")
    async def versions(cli: Cli, name: ModelName) -> None:
        """List the versions of a model, newest first."""
        async with cli.client() as client:
            found = await client.versions(name)
        cli.show(
            {"versions": found},
            lambda: [
                output.table(COLUMNS, [_row(version) for version in found]),
                *notice_lines(found),
            ],
        )


def _row(version: Version) -> tuple[object, ...]:
    return (
        version.number,
        output.moment(version.created_at),
        output.size(version.size_bytes),
        version.digest[:12],
        _inputs(version.signature),
        ", ".join(_tensor(spec) for spec in version.signature.outputs),
        version.config.batching.max_batch_size,
        _shortened(version.description),
    )


def _shortened(text: str) -> str:
    return text if len(text) <= MOST_DESCRIBED else f"{text[: MOST_DESCRIBED - 1]}…"


def notice_lines(versions: Sequence[Version]) -> list[str]:
    """A line for each notice, below the table, after an empty one."""
    lines = [f"version {v.number}: {printable(notice)}" for v in versions for notice in v.notices]
    return ["", *lines] if lines else []


def _inputs(signature: Signature) -> str:
    """The inputs; of optional ones, of which there may be hundreds, the first."""
    optional = [f"{_tensor(spec)}?" for spec in signature.optional_inputs[:MOST_OPTIONAL]]
    rest = len(signature.optional_inputs) - len(optional)
    more = [f"{rest} more optional ones"] if rest else []
    return ", ".join([*map(_tensor, signature.inputs), *optional, *more])


def _tensor(spec: TensorSpec) -> str:
    shape = "..." if spec.unranked else ",".join(str(size) for size in spec.shape)
    return f"{spec.name}:{spec.datatype}[{shape}]"
