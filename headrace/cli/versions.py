"""`headrace versions`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli import output
from headrace.cli.arguments import OnlyModelName
from headrace.cli.command import Cli, command
from headrace.cli.error_report import printable
from headrace.state.language_records import VersionKind

if TYPE_CHECKING:
    from headrace.client import FoundVersion, Version
    from headrace.filters import Field
    from headrace.state.language_records import LanguageFacts
    from headrace.state.records import Signature, TensorSpec

COLUMNS = (
    *("version>", "kind", "pushed", "size>", "digest", "takes", "gives", "batch>", "description"),
)

MOST_OPTIONAL = 4
"""Some exporters list every weight as an input."""
MOST_DESCRIBED = 40
"""Characters of a description in a row; --json has all."""


_Filter = Annotated[
    str,
    typer.Option(
        "--filter",
        metavar="CONDITION",
        help="Only those for which it holds: 'metrics.accuracy > 0.9 and tags.team = vision'.",
    ),
]
_OrderBy = Annotated[
    str,
    typer.Option(
        metavar="FIELD",
        help="By a field such as metrics.accuracy; 'FIELD desc': large values first.",
    ),
]
_Limit = Annotated[int, typer.Option(min=0, help="At most so many of those found; 0 all.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "versions")(list_versions)


async def list_versions(
    cli: Cli,
    name: OnlyModelName = "",
    filter: _Filter = "",
    order_by: _OrderBy = "",
    limit: _Limit = 0,
) -> None:
    """List the versions of a model, newest first; or find versions, of all models where none is named.

    With a condition, an order, or no model, metrics that are named get columns of their own. Fields are
    those of versions (number, kind, create_time, age, size_bytes, ...) and of what is said of them:
    tags.KEY, labels.KEY, metrics.NAME with .lower and .upper, lineage.method, alias, role.
    """
    if name and not (filter or order_by or limit):
        await _list(cli, name)
        return
    async with cli.client() as client:
        found = await client.search_versions(filter, name, order_by, limit=limit)
    metrics = _named_metrics(filter, order_by)
    columns = (
        "model",
        "version>",
        *(f"{str(each).removeprefix('metrics.')}>" for each in metrics),
        *_FOUND,
    )
    rows = [_found_row(each, metrics) for each in found]
    cli.show({"found": found}, lambda: output.table(columns, rows))


async def _list(cli: Cli, name: str) -> None:
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


_FOUND = ("kind", "pushed", "size>", "aliases", "tags", "description")


def _named_metrics(filter: str, order_by: str) -> list[Field]:
    """The metrics that a condition and an order name, each once."""
    from headrace.filters import comparisons, parse, parse_field

    fields = [each.field for each in comparisons(parse(filter))]
    if ordered := order_by.split():
        fields.append(parse_field(ordered[0], "order_by"))
    named = {str(each): each for each in fields if each.name.startswith("metrics.")}
    return list(named.values())


def _found_row(found: FoundVersion, metrics: Sequence[Field]) -> tuple[object, ...]:
    from headrace.gates import Measurements

    version, said = found.version, found.annotations
    measured = Measurements(said.metrics)
    values = [measured.newest(each) for each in metrics]
    return (
        version.model,
        version.number,
        *("" if each is None else output.number(each.value) for each in values),
        version.kind,
        output.moment(version.created_at),
        output.size(version.size_bytes),
        ", ".join(found.aliases),
        ", ".join(f"{key}={value}" for key, value in sorted(said.tags.items())),
        _shortened(said.description or version.description),
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
