"""Templates of strangers end, whatever they do."""

from __future__ import annotations

import pytest

from headrace.errors import InvalidArgument
from headrace.language.chats.chat_files import ChatFiles
from headrace.language.chats.chat_template import ChatTemplate

_TWICE = (
    "{% set ns = namespace(a=START) %}{% for i in range(100) %}{% set ns.a = MORE %}{% endfor %}"
)


def _twice(start: str, more: str, last: str) -> str:
    return _TWICE.replace("START", start).replace("MORE", more) + last


HOSTILE = {
    "loops": "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}",
    "own loops": "{% for a in [1, 2, 3] recursive %}{{ loop([1, 2, 3]) }}{% endfor %}",
    "macros": "{% macro f(n) %}{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(60) }}",
    "callers": "{% macro m() %}{% for i in range(99999) %}{{ caller() }}{% endfor %}{% endmacro %}"
    "{% call m() %}{% for i in range(99999) %}y{% endfor %}{% endcall %}",
    "times": "{{ 'a' * 10**10 }}",
    "list times": "{{ 10**10 * ['a'] }}",
    "power": "{{ 10**(10**10) }}",
    "large numbers": _twice("10**300", "ns.a * ns.a", ""),
    "format": "{{ '{:>1000000000}'.format(1) }}",
    "format argument": "{{ '{:{w}}'.format(1, w=10**9) }}",
    "format map": "{{ '{a:1000000000}'.format_map({'a': 1}) }}",
    "percent": "{{ '%1000000000d' % 1 }}",
    "percent argument": "{{ '%*d' % (10**9, 1) }}",
    "percent often": "{{ ('%s'*1000) % (('a'*100000,)*1000) }}",
    "join": "{{ range(99999)|join('x'*90000) }}",
    "method join": "{{ ('x'*90000).join(range(99999)|map('string')) }}",
    "replace": "{{ ('a'*100000).replace('a', 'b'*100000) }}",
    "replace filter": "{{ ('a'*100000)|replace('', 'b'*100000) }}",
    "center": "{{ 'a'.center(10**10) }}",
    "expandtabs": "{{ ('\t'*1000).expandtabs(10**9) }}",
    "indent": "{{ ('\n'*100000)|indent(10**6) }}",
    "bytes": "{{ (1).to_bytes(10**10, 'big') }}",
    "plus": _twice("'a'", "ns.a + ns.a", "{{ ns.a|length }}"),
    "tilde": _twice("'a'", "ns.a ~ ns.a", "{{ ns.a|length }}"),
    "block": "{% set ns = namespace(a='a') %}{% for i in range(100) %}{% set ns.a %}{{ ns.a }}{{ ns.a }}"
    "{% endset %}{% endfor %}",
    "shared lists": _twice("[1]", "[ns.a, ns.a]", "{{ ns.a }}"),
    "shared tuples": _twice("(1,)", "(ns.a, ns.a)", "{{ ns.a|string }}"),
    "shared objects": _twice("{}", "dict(a=ns.a, b=ns.a)", "{{ ns.a|tojson }}"),
    "namespaces": "{% set a = namespace() %}{% set b = namespace() %}{% set b.x = [a, a] %}{{ b.x }}",
    "deep": "{% set ns = namespace(a=[]) %}{% for i in range(99999) %}{% set ns.a = [ns.a] %}{% endfor %}",
    "generators": "{% set ns = namespace(a=range(9)) %}{% for i in range(2500) %}"
    "{% set ns.a = ns.a|map('string') %}{% endfor %}{{ ns.a|list }}",
    "json": "{{ {'a': [1]*1000}|tojson(indent=10**9) }}",
    "sum": "{{ ([[1, 2]]*10000)|sum(start=[]) }}",
    "round": "{{ 1|round(10**8, 'ceil') }}",
    "sort": "{{ (['x'*100000]*1000)|sort|length }}",
    "count": "{% set a = 'x'*900000 %}{% for i in range(99999) %}{{ a.count('xxy') }}{% endfor %}",
    "compare": "{% set a = 'x'*200000 %}{% set b = 'x'*200000 %}"
    + "{% if a == b %}{% endif %}" * 1000,
    "slices": "{% set a = 'x'*100000 %}" + "".join(f"{{% set b{n} = a[1:] %}}" for n in range(400)),
    "range": "{{ range(10**10)|list }}",
    "lipsum": "{{ lipsum(n=100000) }}",
    "cycler": "{% set c = cycler('x'*10000) %}{% for i in range(99999) %}{{ c.next() }}{% endfor %}",
    "time": "{{ strftime_now('%1000000000d') }}",
    "parentheses": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "nests": "{% for a in [1] %}" * 40 + "{% endfor %}" * 40,
    "digits": "{{ " + "9" * 100000 + " }}",
    "attributes": "{{ a" + ".b" * 20000 + " }}",
    "spaces": "{{" + " " * 100000,
    "include": "{% include 'x' %}",
    "import": "{% import 'os' as o %}",
    "classes": "{{ ''.__class__.__mro__ }}",
    "self": "{{ self.__init__.__globals__ }}",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_template_ends_with_a_refusal(name: str) -> None:
    """In bounded time, however much it asks for."""
    with pytest.raises(InvalidArgument) as raised:
        ChatTemplate(ChatFiles(HOSTILE[name])).render([{"role": "user", "content": "a"}])
    assert raised.value.reason in ("CHAT_TEMPLATE_INVALID", "CHAT_TEMPLATE_FAILED")


@pytest.mark.parametrize(
    "name", ["''|attr('__class__')", "range.__globals__", "'{0.__class__}'.format(1)"]
)
def test_nothing_of_python_is_reached(name: str) -> None:
    """What the sandbox hides is as if it were not there."""
    assert "" == ChatTemplate(ChatFiles("{{ " + name + " }}")).render([])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{% for a in [1, 2, 3] %}{% if a == 3 %}{% break %}{% endif %}{{ a }}{% endfor %}", "12"),
        ("{% generation %}hi{{ 1 }}{% endgeneration %}", "hi1"),
        ("{{ {'a': \"<é>'&\", 'b': [1]}|tojson }}", '{"a": "<é>\'&", "b": [1]}'),
        ("{{ {'b': 1, 'a': 2}|tojson(indent=1, sort_keys=true) }}", '{\n "a": 2,\n "b": 1\n}'),
        (
            "{% for m in messages %}{{ loop.index }}/{{ loop.length }}{{ loop.last }}{% endfor %}",
            "1/1True",
        ),
        (
            "{% set n = namespace(n=0) %}{% for a in 'abc' %}{% set n.n = n.n + 1 %}{% endfor %}{{ n.n }}",
            "3",
        ),
        (
            "{{ 'a' ~ 1 ~ none ~ nothing }}|{{ '%s-%02d' % ('x', 3) }}|{{ '{:>3}'.format(1) }}",
            "a1None|x-03|  1",
        ),
        (
            "{{ messages[0].content.split('l')[-1] }}{{ messages[0]['content'][1:] }}",
            "oello",
        ),
        (
            "{{ ['b', 'a']|sort|join(', ') }}{{ ', '.join(['x', 'y']) }}{{ 'a\nb'|indent(2) }}",
            "a, bx, ya\n  b",
        ),
        (
            "{{ messages|map(attribute='role')|join }}{{ messages|selectattr('a', 'equalto', 1)|list }}",
            "user[]",
        ),
        (
            "{{ strftime_now('%Y')|int > 2000 }}{{ 7 // 2 }}{{ 2 ** 3 }}{{ [1] + [2] }}{{ 'a' in 'cat' }}",
            "True38[1, 2]True",
        ),
        (
            "{%- macro f(x) -%}<{{ x }}>{%- endmacro -%}{{ f('a') }}{{ dict(a=1).a }}",
            "<a>1",
        ),
        (
            "{% if messages[0].x is defined and messages %}1{% endif %}{{ 'A'|lower|trim|upper }}\n",
            "A",
        ),
        ("a\n{% if true %}\nb\n{% endif %}\nc\n", "a\nb\nc"),
    ],
)
def test_what_templates_use_works(text: str, expected: str) -> None:
    """As where templates are written for: transformers."""
    template = ChatTemplate(ChatFiles(text))
    assert expected == template.render([{"role": "user", "content": "hello"}])


def test_long_conversations_are_within_the_bounds() -> None:
    """Half a million characters in a thousand messages."""
    messages = [{"role": "user", "content": "word " * 100} for _ in range(1000)]
    text = "{% for m in messages %}{{ '<' + m.role + '>' ~ m['content'] | trim }}{% endfor %}"
    assert len(ChatTemplate(ChatFiles(text)).render(messages)) > 500_000
