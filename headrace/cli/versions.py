"""`headrace versions`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from headrace.cli import output
from headrace.cli.arguments import ModelName
from headrace.cli.command import Cli, command
from headrace.cli.error_report import printable
from headrace.state.language_records import VersionKind

if TYPE_CHECKING:
    from headrace.client import Version
    from headrace.state.language_records import LanguageFacts
    from headrace.state.records import Signature, TensorSpec

COLUMNS = (
    *("version>", "kind", "pushed", "size>", "digest", "takes", "gives", "batch>", "description"),
)

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
                *language_lines(found),
                *notice_lines(found),
            ],
        )


def _row(version: Version) -> tuple[object, ...]:
    return (
        version.number,
        version.kind,
        output.moment(version.created_at),
        output.size(version.size_bytes),
        version.digest[:12],
        *_ends(version),
        version.config.batching.max_batch_size,
        _shortened(version.description),
    )


def _ends(version: Version) -> tuple[str, str]:
    """Return what it takes and gives: texts of a version of text, whose tensors are all alike."""
    facts = version.language
    if facts is None:
        outputs = ", ".join(_tensor(spec) for spec in version.signature.outputs)
        return _inputs(version.signature), outputs
    gives = {
        VersionKind.GENERATION: "text",
        VersionKind.EMBEDDING: f"{facts.embedding_size} numbers",
        VersionKind.RERANK: "scores",
    }
    return f"text, up to {facts.context_length} tokens", gives.get(facts.kind, "text")


def language_lines(versions: Sequence[Version]) -> list[str]:
    """A line for each version of text, below the table, after an empty one."""
    lines = [
        f"version {version.number}: {printable(_facts(version.language))}"
        for version in versions
        if version.language
    ]
    return ["", *lines] if lines else []


def _facts(facts: LanguageFacts) -> str:
    said = [facts.architecture, f"{facts.weights} weights" if facts.weights else ""]
    said += [f"context of {facts.context_length} tokens", f"{facts.vocabulary_size} tokens known"]
    if facts.kv_bytes_per_token:
        said.append(f"{output.size(facts.kv_bytes_per_token)} of keys and values a token")
    if facts.embedding_size:
        pooled = f", pooled by {facts.pooling}" if facts.pooling else ""
        said.append(f"vectors of {facts.embedding_size} numbers{pooled}")
    said.append(f"for {', '.join(facts.capabilities)}" if facts.capabilities else "")
    return "; ".join(filter(None, said))


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
