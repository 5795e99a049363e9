"""How answers are held to grammars."""

from __future__ import annotations

import json
from collections.abc import Iterator

import jsonschema_rs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import InvalidArgument
from headrace.language.tokenizer import TextTokenizer
from headrace_inference.adapters.generation.grammars import LlguidanceGrammars
from headrace_inference.domain.generation.grammars import GrammarState
from headrace_inference.domain.generation.requests import Grammar, GrammarKind, SamplingOptions
from headrace_inference.domain.generation.tokens.sampling import Sampler
from tests.language.tiny_tokenizer import BEGIN, END, write_tiny_tokenizer

_WIDTH = 640  # wider than the tokenizer, as many models' logits are
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
}


@pytest.fixture(scope="module")
def grammars(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlguidanceGrammars]:
    folder = tmp_path_factory.mktemp("tiny")
    write_tiny_tokenizer(folder)
    tokenizer = TextTokenizer(folder / "tokenizer.json")
    opened = LlguidanceGrammars(tokenizer, _WIDTH, {BEGIN, END})
    yield opened
    opened.close()


def _written(
    grammars: LlguidanceGrammars, grammar: Grammar, seed: int, most: int = 400
) -> str | None:
    """An answer of random logits; None where it did not end in time."""
    state = grammars.begin(grammar)
    tokenizer = grammars._tokenizer
    sampler = Sampler(SamplingOptions(seed=seed), [])
    random = np.random.default_rng(seed)
    tokens: list[int] = []
    for _ in range(most):
        grammars.look_ahead([state])
        row = random.standard_normal(_WIDTH).astype(np.float32)
        token = None if state.is_over else sampler.choose(row, state.allowed())
        if token is None or token in (BEGIN, END):
            return tokenizer.decode(tokens, skip_special_tokens=False)
        tokens.append(token)
        state.accept(token)
        sampler.accept(token)
    return None


def _say(grammars: LlguidanceGrammars, state: GrammarState, text: str) -> None:
    for letter in text:
        state.allowed()
        state.accept(grammars._tokenizer.encode(letter, add_special_tokens=False)[0])
        grammars.look_ahead([state])


@pytest.mark.parametrize(
    "schema",
    [
        PERSON,
        {"$ref": "#/$defs/P", "$defs": {"P": PERSON}},
        {"type": "array", "items": PERSON, "maxItems": 2},
        {"enum": ["one", 2, None]},
        {"type": "integer", "format": "int32", "minimum": 0},
        {"anyOf": [{"type": "boolean"}, {"type": "integer"}]},
        {
            "allOf": [{"$ref": "#/$defs/P"}, {"properties": {"x": {"type": "null"}}}],
            "$defs": {"P": PERSON},
        },
    ],
)
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_random_logits_write_what_the_schema_allows(
    grammars: LlguidanceGrammars, schema: dict[str, object], seed: int
) -> None:
    """Whatever the model says: the answer is JSON and valid, without line ends between its parts."""
    grammar = Grammar(GrammarKind.JSON_SCHEMA, json.dumps(schema))
    text = _written(grammars, grammar, seed)
    if text is not None:  # a string of random letters may be long
        assert jsonschema_rs.is_valid(schema, json.loads(text))
        assert "\n" not in text


def test_objects_have_no_keys_but_those_that_are_named(grammars: LlguidanceGrammars) -> None:
    """A schema that leaves others open is closed, so that an answer ends."""
    schema = {"type": "object", "properties": {"a": {"type": "boolean"}}}
    grammar = Grammar(GrammarKind.JSON_SCHEMA, json.dumps(schema))
    texts = {_written(grammars, grammar, seed) for seed in range(20)}
    assert texts <= {
        "{}",
        *(f'{{"a":{space}{value}}}' for space in ("", " ") for value in ("true", "false")),
    }
    assert len(texts) > 1


@pytest.mark.parametrize(
    ("grammar", "expected"),
    [
        (
            Grammar(GrammarKind.CHOICE, '["yes", "n/o \\"q\\"", "zwölf\\n"]'),
            {"yes", 'n/o "q"', "zwölf\n"},
        ),
        (Grammar(GrammarKind.REGEX, "[ab]c?"), {"a", "b", "ac", "bc"}),
        (Grammar(GrammarKind.LARK, 'start: "x" "y"?'), {"x", "xy"}),
    ],
)
def test_answers_are_of_the_language(
    grammars: LlguidanceGrammars, grammar: Grammar, expected: set[str]
) -> None:
    """All of its texts come, and no others; an end token comes only where the text may end."""
    assert expected == {_written(grammars, grammar, seed) for seed in range(80)}


def test_a_json_object_begins_and_is_one(grammars: LlguidanceGrammars) -> None:
    """`json_object` needs no schema."""
    state = grammars.begin(Grammar(GrammarKind.JSON_OBJECT))
    tokenizer = grammars._tokenizer
    for token in tokenizer.encode('{"a": [1, {"b": null}]}', add_special_tokens=False):
        allowed = state.allowed()
        assert (_WIDTH, False) == (len(allowed), bool(allowed[END]))
        assert allowed[token]
        state.accept(token)
    assert state.is_over
    assert not state.allowed().any()


def test_states_of_one_grammar_do_not_meet(grammars: LlguidanceGrammars) -> None:
    """A grammar is compiled once, and every sequence has a place of its own in it."""
    grammar = Grammar(GrammarKind.CHOICE, '["aa", "ab"]')
    one, other = grammars.begin(grammar), grammars.begin(grammar)
    (first,) = grammars._tokenizer.encode("a", add_special_tokens=False)
    one.accept(first)
    grammars.look_ahead([one, other])
    (last,) = grammars._tokenizer.encode("b", add_special_tokens=False)
    assert (True, False) == (bool(one.allowed()[last]), bool(other.allowed()[last]))


@pytest.mark.parametrize(
    ("kind", "text", "named"),
    [
        (GrammarKind.JSON_SCHEMA, "{", "Expecting property name"),
        (GrammarKind.JSON_SCHEMA, "[1]", "not a JSON object"),
        (GrammarKind.JSON_SCHEMA, '{"type": "foo"}', "foo"),
        (GrammarKind.JSON_SCHEMA, '{"uniqueItems": true, "type": "array"}', "uniqueItems"),
        (GrammarKind.JSON_SCHEMA, '{"$ref": "http://example.com/a"}', "example.com"),
        (GrammarKind.JSON_SCHEMA, '{"$ref": "#"}', "NoExtension"),
        (GrammarKind.JSON_SCHEMA, '{"type": "string", "pattern": "(?=a)b"}', "look-around"),
        (GrammarKind.JSON_SCHEMA, "[" * 100_000, "recursion"),
        (GrammarKind.JSON_SCHEMA, '{"items":' * 900 + "{}" + "}" * 900, "recursion"),
        (GrammarKind.JSON_SCHEMA, '{"enum": ["' + "x" * 300_000 + '"]}', "at most 262144"),
        (GrammarKind.REGEX, "(", "unclosed group"),
        (GrammarKind.REGEX, "(" * 50_000 + ")" * 50_000, "regex"),
        (GrammarKind.LARK, "start: missing", "missing"),
        (GrammarKind.LARK, "", "Empty grammar"),
        (GrammarKind.CHOICE, "[]", "list of texts"),
        (GrammarKind.CHOICE, '{"a": 1}', "list of texts"),
    ],
)
def test_what_answers_cannot_be_held_to_is_refused(
    grammars: LlguidanceGrammars, kind: GrammarKind, text: str, named: str
) -> None:
    """Before anything is generated, with the keyword or the place."""
    with pytest.raises(InvalidArgument, match=named) as raised:
        grammars.check(Grammar(kind, text))
    assert "GRAMMAR_INVALID" == raised.value.reason


@pytest.mark.parametrize(
    "text",
    ["(a*)*b" * 200, "(a?){1000}a{1000}", "(.{0,500}a){50}", "(a{300}){300}", "." * 20_000],
)
def test_hostile_expressions_end_or_are_refused(grammars: LlguidanceGrammars, text: str) -> None:
    """They take bounded time and memory: a refusal at the start, or one while the answer is written."""
    told = ""
    try:
        _written(grammars, Grammar(GrammarKind.REGEX, text), 1, most=30)
    except InvalidArgument as error:
        told = error.reason
    assert told in ("", "GRAMMAR_INVALID", "GRAMMAR_TOO_COMPLEX")


def test_a_grammar_may_become_too_complex(grammars: LlguidanceGrammars) -> None:
    """What needs too much while the answer is written ends the answer, also when it is looked ahead."""
    kinds = " | ".join(f"/[a-z]{{0,{i}}}x[a-z]{{{i}}}/" for i in range(100, 400))
    state = grammars.begin(Grammar(GrammarKind.LARK, f"start: {kinds}"))
    grammars.look_ahead([state])
    with pytest.raises(InvalidArgument) as raised:
        _say(grammars, state, "xa" * 50)
    assert "GRAMMAR_TOO_COMPLEX" == raised.value.reason


@pytest.mark.parametrize(
    "schema",
    [
        '{"type": "array", "minItems": 1000000, "items": {}}',
        '{"type": "string", "minLength": 100000000}',
    ],
)
def test_schemas_without_an_end_are_cut_by_the_number_of_tokens(
    grammars: LlguidanceGrammars, schema: str
) -> None:
    """A token of such an answer costs no more than that of others."""
    assert _written(grammars, Grammar(GrammarKind.JSON_SCHEMA, schema), 1, most=30) is None


def test_large_schemas_are_taken(grammars: LlguidanceGrammars) -> None:
    """A hundred forms of an object, and a thousand texts to choose from, are within the limits."""
    forms = [
        {"type": "object", "properties": {f"k{i}_{j}": {"type": "string"} for j in range(10)}}
        for i in range(100)
    ]
    schema = {"anyOf": [*forms, {"enum": [f"text {number}" for number in range(1000)]}]}
    assert _written(grammars, Grammar(GrammarKind.JSON_SCHEMA, json.dumps(schema)), 3) is not None


def _rules(count: int) -> str:
    between = (f'r{each}: "a" r{each + 1} | "b"' for each in range(count))
    return "\n".join(["start: r0", *between, f'r{count}: "x"'])


def _references(count: int) -> str:
    made: dict[str, object] = {str(count): {"type": "integer"}}
    for each in range(count):
        made[str(each)] = {"anyOf": [{"type": "string"}, {"$ref": f"#/$defs/{each + 1}"}]}
    return json.dumps({"$ref": "#/$defs/0", "$defs": made})


@pytest.mark.parametrize(
    "grammar",
    [
        Grammar(GrammarKind.LARK, _rules(4_000)),
        Grammar(GrammarKind.JSON_SCHEMA, _references(2_000)),
    ],
    ids=["rules", "references"],
)
def test_what_leads_on_as_deep_as_it_is_long_is_taken(
    grammars: LlguidanceGrammars, grammar: Grammar
) -> None:
    """Either ends the process where its compiler has a thread's usual stack."""
    assert grammars.begin(grammar).allowed().any()
