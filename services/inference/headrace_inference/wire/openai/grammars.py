"""Finds what an answer is held to, in OpenAI's words and in vLLM's."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from headrace.errors import InvalidArgument
from headrace_inference.domain.generation.model import GenerativeModel
from headrace_inference.domain.generation.requests import Grammar, GrammarKind
from headrace_inference.wire.openai.bodies import unsupported, wrong
from headrace_inference.wire.openai.chat_body import (
    ResponseFormat,
    Schema,
    StructuredOutputs,
    TextBody,
)
from headrace_inference.wire.openai.errors import PARAMETER


@dataclass(frozen=True, slots=True)
class NamedGrammar:
    """A form that an answer has to have, and the member of the body that says so."""

    parameter: str
    grammar: Grammar


async def checked_grammar(model: GenerativeModel, named: NamedGrammar | None) -> Grammar | None:
    """The grammar, if the version can hold an answer to it. Raises InvalidArgument."""
    if named is None:
        return None
    try:
        await asyncio.to_thread(model.grammars.check, named.grammar)
    except InvalidArgument as error:
        facts = {**error.facts, PARAMETER: named.parameter}
        raise InvalidArgument(error.reason, error.message, facts=facts) from None
    return named.grammar


def grammar_of(body: TextBody) -> NamedGrammar | None:
    """Read the form of the answer; None: any. Raises InvalidArgument for two, or an unknown one."""
    found = list(_grammars(body))
    if len(found) > 1:
        names = " and ".join(f"'{name}'" for name, _ in found)
        raise wrong(found[1][0], f"an answer is held to one form alone; {names} were given")
    return NamedGrammar(*found[0]) if found else None


def _grammars(body: TextBody) -> Iterator[tuple[str, Grammar]]:
    if body.response_format is not None:
        grammar = _of_format(body.response_format)
        if grammar is not None:
            yield "response_format", grammar
    if body.structured_outputs is not None:
        yield from _of_outputs("structured_outputs.", body.structured_outputs)
    older = StructuredOutputs(
        json=body.guided_json,
        regex=body.guided_regex,
        choice=body.guided_choice,
        grammar=body.guided_grammar,
    )
    yield from _of_outputs("guided_", older)


def _of_format(wanted: ResponseFormat) -> Grammar | None:
    if wanted.type == "text":
        return None
    if wanted.type == "json_object":
        return Grammar(GrammarKind.JSON_OBJECT)
    if wanted.type != "json_schema":
        raise wrong(
            "response_format.type",
            f"'response_format.type' is '{wanted.type[:40]}'; it has to be text, json_object or "
            "json_schema",
        )
    if wanted.json_schema is None or wanted.json_schema.schema is None:
        raise wrong(
            "response_format.json_schema",
            "'response_format.json_schema' has to be an object with a 'schema'",
        )
    return schema_grammar(wanted.json_schema.schema)


def schema_grammar(schema: Schema) -> Grammar:
    """JSON that fits a schema."""
    return Grammar(GrammarKind.JSON_SCHEMA, msgspec.json.encode(schema).decode())


def _of_outputs(prefix: str, wanted: StructuredOutputs) -> Iterator[tuple[str, Grammar]]:
    if wanted.structural_tag is not None:
        raise unsupported(f"{prefix}structural_tag", "'structural_tag' is not offered here")
    if isinstance(wanted.json, str):
        yield f"{prefix}json", Grammar(GrammarKind.JSON_SCHEMA, wanted.json)
    elif wanted.json is not None:
        yield f"{prefix}json", schema_grammar(wanted.json)
    if wanted.regex is not None:
        yield f"{prefix}regex", Grammar(GrammarKind.REGEX, wanted.regex)
    if wanted.choice is not None:
        if not wanted.choice:
            raise wrong(f"{prefix}choice", f"'{prefix}choice' has to have at least one text")
        choices = msgspec.json.encode(wanted.choice).decode()
        yield f"{prefix}choice", Grammar(GrammarKind.CHOICE, choices)
    if wanted.grammar is not None:
        yield f"{prefix}grammar", Grammar(GrammarKind.LARK, wanted.grammar)
    if wanted.json_object:
        yield f"{prefix}json_object", Grammar(GrammarKind.JSON_OBJECT)
