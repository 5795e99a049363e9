"""The forms in which families of models write calls of tools, and grammars that hold answers to them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headrace.language.chats.messages import SHORT_ID
from headrace.language.json_schemas import SEPARATORS, closed
from headrace.language.tokenizer import TextTokenizer

Tool = Mapping[str, Any]
"""A function in OpenAI's form: `name`, `description`, `parameters`."""

_GAP = r"/[ \n]{0,2}/"


@dataclass(frozen=True, slots=True)
class ToolForm:
    """The form in which a model writes calls: each is a JSON object with a name and arguments."""

    begin: str = ""
    """The mark before calls; '' where a call is the whole answer, from its first brace on."""
    end: str = ""
    """The mark after each call."""
    arguments: str = "arguments"
    """The key of a call's arguments."""
    is_list: bool = False
    """Whether the calls are a JSON list behind one mark."""
    begin_token: int | None = None
    """The control token that the mark is; None: text as any other."""
    is_begun: bool = True
    """Whether a call has the mark always; else it may."""
    id_letters: int = 24
    """Letters and digits of a call's id, behind `call_`; 9 alone for models that were taught such ids."""

    @property
    def shows_control(self) -> bool:
        """Tell whether control tokens have to be in an answer's text for its calls to be found."""
        return self.begin_token is not None

    def forced(self, tools: Sequence[Tool], *, several: bool) -> str:
        """Return the Lark grammar of an answer that calls, once or several times."""
        if self.is_list:
            more = ' (", " call)*' if several else ""
            start = f'{self._mark()} {_GAP} "[" call{more} "]"'
        elif self.end:
            more = " (gap one)*" if several else ""
            start = f"one{more}"
        else:
            start = "call"
        return self._grammar(start, tools)

    def free(self, tools: Sequence[Tool], *, several: bool) -> str:
        """Return the Lark grammar of an answer that says anything, or calls: held from the mark on."""
        if not self.begin or not self.is_begun:
            mark = "" if self.begin_token is None else f"<[{self.begin_token}]>? "
            plain = r'PLAIN: /(?s:.*)/ & ~/\s*\{\s*"name"(?s:.*)/'
            return self._grammar(f"PLAIN | {mark}call", tools, plain)
        calls = self._after_mark(several=several)
        if self.begin_token is not None:
            return self._grammar(
                f"PLAIN? | PLAIN? {self._mark()} {calls}", tools, r"PLAIN: /(?s:.+)/"
            )
        mark = _pattern(self.begin)
        rules = f"PLAIN: /(?s:.*)/ & ~/(?s:.*){mark}(?s:.*)/\nhead[lazy]: /(?s:.*){mark}/"
        return self._grammar(f"PLAIN | head {calls}", tools, rules)

    def _after_mark(self, *, several: bool) -> str:
        if self.is_list:
            more = ' (", " call)*' if several else ""
            return f'gap "[" call{more} "]"'
        more = " (gap one)*" if several else ""
        return f"gap call gap {_text(self.end)}{more}"

    def _mark(self) -> str:
        return _text(self.begin) if self.begin_token is None else f"<[{self.begin_token}]>"

    def _grammar(self, start: str, tools: Sequence[Tool], rules: str = "") -> str:
        lines = [f"start: {start}", rules, f"gap: {_GAP}"]
        if self.end:
            lines.append(f'one: {self._mark()} "\\n" call "\\n" {_text(self.end)}')
        lines.append("call: " + " | ".join(f"call_{number}" for number in range(len(tools))))
        for number, tool in enumerate(tools):
            head = f'{{"name": {json.dumps(tool["name"])}, "{self.arguments}": '
            schema = {"x-guidance": SEPARATORS, **closed(_parameters(tool))}
            lines.append(f'call_{number}: {_text(head)} %json {json.dumps(schema)} "}}"')
        return "\n".join(lines)


def _parameters(tool: Tool) -> Mapping[str, Any]:
    held = tool.get("parameters")
    return held if isinstance(held, Mapping) and held else {"type": "object", "properties": {}}


def tool_form(template: str, tokenizer: TextTokenizer) -> ToolForm | None:
    """Return the form that a chat template writes calls in; None where that is not known here."""
    if "[TOOL_CALLS]" in template:
        if "[ARGS]" in template:
            return None
        mark = "[TOOL_CALLS]"
        return ToolForm(
            mark, is_list=True, begin_token=_control(mark, tokenizer), id_letters=SHORT_ID
        )
    if "<tool_call>" in template:
        if "<function=" in template or "<arg_key>" in template:
            return None
        return ToolForm(
            "<tool_call>", "</tool_call>", begin_token=_control("<tool_call>", tokenizer)
        )
    mark = "<|python_tag|>"
    names_parameters = '"name"' in template and '"parameters"' in template
    if names_parameters or mark in template:
        token = _control(mark, tokenizer)
        return ToolForm(
            mark if token is not None else "",
            arguments="parameters",
            begin_token=token,
            is_begun=False,
        )
    return None


PLAIN_FORM = ToolForm("<tool_call>", "</tool_call>")
"""For models whose template knows no tools: they are told of this one."""


def plain_instructions(tools: Sequence[Tool]) -> str:
    """Return what a model is told whose template knows no tools."""
    listed = "\n".join(json.dumps(tool, ensure_ascii=False) for tool in tools)
    return (
        "You may call functions to answer. Each line is one of them, with the JSON schema of its "
        f"arguments:\n{listed}\n\nTo call one, answer with its name and its arguments in this form:\n"
        '<tool_call>\n{"name": "NAME", "arguments": {ARGUMENTS}}\n</tool_call>'
    )


def _control(mark: str, tokenizer: TextTokenizer) -> int | None:
    token = tokenizer.token_of(mark)
    return token if token in tokenizer.special_tokens else None


def _text(text: str) -> str:
    """A text as Lark writes it."""
    return json.dumps(text, ensure_ascii=False)


def _pattern(text: str) -> str:
    """A text as a regular expression in Lark."""
    return "".join(f"\\{each}" if each in r"\/[](){}.*+?|^$&~-" else each for each in text)
