"""Runs templates of strangers: jinja2's immutable sandbox, with everything that could grow counted.

jinja2 keeps a template from reaching Python, and not from `'a' * 10**10`, nor from loops in loops. A thread
that renders cannot be ended from outside, so each step, and each text that is made, asks a budget.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from headrace.language.chats.template_budget import BUDGET, Budget, NeverHeld, TemplateTooCostly
from headrace.language.chats.template_filters import (
    FILTERS,
    OWN_FILTERS,
    check_format,
    counted_filter,
    held,
    replaced_length,
    text_length,
)
from headrace.language.extra import language_library

if TYPE_CHECKING:
    from jinja2 import Template

_GLOBALS = ("range", "dict", "cycler", "joiner")
_TIME_WIDTHS = re.compile(r"%[-_0^#+]*\d")


def compile_template(text: str, budget: Budget) -> Template:
    """Return a template that is rendered with `render`. Raises whatever jinja2 does, TemplateTooCostly."""
    token = BUDGET.set(budget)
    try:
        template: Template = _environment().from_string(text)
        return template
    finally:
        BUDGET.reset(token)


def render(template: Template, variables: Mapping[str, Any], budget: Budget) -> str:
    """Return the text. Raises whatever the template does, TemplateTooCostly."""
    token = BUDGET.set(budget)
    try:
        return template.render(variables)
    finally:
        BUDGET.reset(token)


@cache
def _environment() -> Any:
    """The environment that chat templates are written for, as transformers has it."""
    extensions = language_library("jinja2.ext")
    environment = _environment_class()(
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=[_generation_extension(), extensions.loopcontrols],
        finalize=held,
        cache_size=0,
    )
    own = {name: environment.filters[name] for name in FILTERS}
    environment.filters = {name: counted_filter(name, function) for name, function in own.items()}
    environment.filters.update(OWN_FILTERS)
    environment.globals = {name: environment.globals[name] for name in _GLOBALS}
    environment.globals.update(
        namespace=_namespace_class(), raise_exception=_raise_exception, strftime_now=_strftime_now
    )
    return environment


def _generation_extension() -> type[Any]:
    jinja2_ext = language_library("jinja2.ext")
    nodes = language_library("jinja2.nodes")

    class Generation(jinja2_ext.Extension):  # type: ignore[misc, name-defined]
        """`{% generation %}` marks the assistant's words for training; here they are words."""

        tags = frozenset(["generation"])

        def parse(self, parser: Any) -> Any:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.Scope(body, lineno=line)

    return Generation


def _environment_class() -> type[Any]:
    sandbox = language_library("jinja2.sandbox")
    nodes = language_library("jinja2.nodes")

    class Environment(sandbox.ImmutableSandboxedEnvironment):  # type: ignore[misc, name-defined]
        intercepted_binops = frozenset(["+", "*", "**", "%"])
        concat = staticmethod(lambda parts: BUDGET.get().join(parts))

        def _parse(self, *args: Any) -> Any:
            return _counting(super()._parse(*args), nodes)

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            return _binary(operator, left, right, super().call_binop, context)

        def wrap_str_format(self, value: Any) -> Any:
            wrapped = super().wrap_str_format(value)
            return wrapped and _checked_format(value.__self__, wrapped)

        def call(*args: Any, **kwargs: Any) -> Any:
            environment, context, function, *given = args
            _check_call(function, given)
            return BUDGET.get().hold(
                sandbox.ImmutableSandboxedEnvironment.call(
                    environment, context, function, *given, **kwargs
                )
            )

    return Environment


def _counting(tree: Any, nodes: Any) -> Any:
    """Have loops, lists, slices and joined texts counted, which the sandbox itself does not see."""
    for node in list(tree.find_all(nodes.For)):
        node.iter = _filtered(node.iter, "_counted", nodes)
    _replace(tree, nodes)
    return tree


def _replace(node: Any, nodes: Any) -> None:
    """Wrap each such node below this one, in place. A target of an assignment is no value."""
    for field, value in list(node.iter_fields()):
        if isinstance(value, list):
            setattr(node, field, [_replaced_node(one, nodes) for one in value])
        else:
            setattr(node, field, _replaced_node(value, nodes))


def _replaced_node(node: Any, nodes: Any) -> Any:
    if not isinstance(node, nodes.Node):
        return node
    _replace(node, nodes)
    return _wrapped(node, nodes)


def _wrapped(node: Any, nodes: Any) -> Any:
    if isinstance(node, nodes.Concat):
        return _filtered(nodes.List(node.nodes, lineno=node.lineno), "_joined", nodes)
    is_slice = isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Slice)
    is_made = isinstance(node, nodes.List | nodes.Dict) or (
        isinstance(node, nodes.Tuple) and node.ctx == "load"
    )
    is_test = isinstance(node, nodes.Compare | nodes.Test)
    return _filtered(node, "_held", nodes) if is_slice or is_made or is_test else node


def _filtered(node: Any, name: str, nodes: Any) -> Any:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


def _binary(operator: str, left: Any, right: Any, inner: Callable[..., Any], context: Any) -> Any:
    budget = BUDGET.get()
    budget.step()
    if operator == "*":
        budget.product(left, right)
    elif operator == "**":
        budget.power(left, right)
    elif operator == "%" and isinstance(left, str):
        check_format(left, "%", right)
    result = inner(context, operator, left, right)
    return budget.hold(result)


def _checked_format(text: str, wrapped: Callable[..., str]) -> Callable[..., str]:
    """The method `format` of a text, which the sandbox wraps by itself."""

    def checked(*args: Any, **kwargs: Any) -> str:
        check_format(text, "{", [*args, *kwargs.values()])
        return wrapped(*args, **kwargs)

    return checked


def _check_call(function: Any, given: list[Any]) -> None:
    """Count a call, and refuse or count beforehand what a text's own methods would make."""
    budget = BUDGET.get()
    budget.step()
    owner = getattr(function, "__self__", None)
    name = getattr(function, "__name__", "")
    if isinstance(owner, int | float) and name == "to_bytes":
        raise TemplateTooCostly("it makes bytes")
    if not isinstance(owner, str):
        return
    if name in ("encode", "translate", "maketrans", "expandtabs"):
        raise TemplateTooCostly(f"it calls {name} of a text")
    if name in ("center", "ljust", "rjust", "zfill"):
        budget.charge(_width(given))
    elif name == "replace":
        budget.charge(replaced_length(owner, given))
    elif name == "join" and given:
        given[0] = list(given[0])
        budget.charge(len(owner) * len(given[0]) + sum(map(text_length, given[0])))


def _width(given: list[Any]) -> int:
    return max(0, given[0]) if given and isinstance(given[0], int) else 0


def _namespace_class() -> Any:
    utils = language_library("jinja2.utils")

    class Namespace(utils.Namespace, NeverHeld):  # type: ignore[misc, name-defined]
        """A namespace that holds no other one, and is no text."""

        def __init__(*args: Any, **kwargs: Any) -> None:
            utils.Namespace.__init__(*args, **kwargs)
            for value in (
                *(one for arg in args[1:] for one in dict(arg).values()),
                *kwargs.values(),
            ):
                _refuse_namespace(value)

        def __setitem__(self, name: str, value: Any) -> None:
            _refuse_namespace(value)
            super().__setitem__(name, value)

        def __repr__(self) -> str:
            return "<namespace>"

    return Namespace


def _refuse_namespace(value: Any) -> None:
    if isinstance(value, NeverHeld):
        raise TemplateTooCostly("it keeps a namespace within another value")


def _raise_exception(message: object) -> None:
    jinja2 = language_library("jinja2")
    raise jinja2.exceptions.TemplateError(str(message)[:1000])


def _strftime_now(form: str) -> str:
    """The local time, as templates write today's date."""
    if len(form) > 100 or _TIME_WIDTHS.search(form):
        raise TemplateTooCostly("it writes the time with a width")
    return datetime.now().astimezone().strftime(form)
