"""Files of rules: what they say, and all that is wrong with them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from headrace import errors
from headrace.alert_rules.durations import duration_text, seconds_of
from headrace.alert_rules.reasons import CALLERS
from headrace.alert_rules.receivers import Webhook, public_url
from headrace.alert_rules.rules import Errors, Latency, Objective
from headrace.alert_rules.rules_file import DEFAULT_RULES, read_rules
from headrace.alert_rules.rules_text import rule_toml
from headrace.alert_rules.shipped import SHIPPED

DOCS = Path(__file__).parents[4] / "docs"

GOOD = """
[[rules]]
name = "fraud-answers"
kind = "objective"
models = ["fraud-*"]
target = 0.999
period = "24h"

[[rules]]
name = "version-failing"
kind = "errors"
above = 0.2
for = "5m"

[[receivers]]
name = "oncall"
kind = "webhook"
url = "https://hooks.example.org/secret/path"
secret_file = "hook"

[shipped]
off = ["data-drift"]
"""

WRONG = """
colour = "red"

[[rules]]
name = "A b"
kind = "objective"
target = 2.0

[[rules]]
name = "x"
kind = "weather"

[[rules]]
name = "slow"
kind = "latency"
above = "2 fortnights"
receivers = ["nobody"]

[[rules]]
name = "slow"
kind = "quality"

[[rules]]
name = "burns"
kind = "objective"
target = 0.9
burn = [{ long = "5m", short = "1h", rate = 0.0 }]

[[rules]]
name = "slower"
kind = "slower"
above = 0.01

[[rules]]
name = "typo"
kind = "errors"
abov = 0.1

[[receivers]]
name = "w"
kind = "webhook"
url = "ftp://example.org"
secret_file = "../../etc/passwd"

[[receivers]]
name = "v"
kind = "webhook"
url = "https://me:password@example.org/"

[shipped]
off = ["nothing"]
"""


def test_a_file_stands_beside_the_shipped_rules() -> None:
    """A rule of a shipped one's name takes its place; others can be turned off."""
    found = read_rules(GOOD)
    rules = {rule.name: rule for rule in found.rules}
    assert {rule.name for rule in SHIPPED} | {"fraud-answers"} == rules.keys()
    objective, failing = rules["fraud-answers"], rules["version-failing"]
    assert isinstance(objective, Objective)
    assert isinstance(failing, Errors)
    assert (86_400, [14.4, 6.0]) == (
        objective.period_seconds,
        [window.rate for window in objective.burn],
    )
    assert (0.2, 300, "ticket") == (failing.above, failing.hold_seconds, failing.severity)
    assert {"data-drift"} == {rule.name for rule in found.rules if not rule.enabled}
    (receiver,) = found.receivers
    assert isinstance(receiver, Webhook)
    assert "https://hooks.example.org/…" == receiver.address


def test_all_that_is_wrong_is_told_at_once() -> None:
    """Each problem with the place that it is at."""
    with pytest.raises(errors.InvalidArgument) as caught:
        read_rules(WRONG)
    told = [violation.description for violation in caught.value.violations]
    for part in (
        "colour: no such key",
        "'A b' is no name",
        "rules.A b: target: must be a share",
        "rules.x: Invalid value 'weather'",
        "rules.slow: receivers: there is no 'nobody'",
        "rules.slow: above: '2 fortnights' is no length of time",
        "rules: 2 have the name 'slow'",
        "rules.slow: give below, or drop",
        "rules.burns: burn: the short window (1h) must be shorter than the long (5m)",
        "rules.burns: burn.rate: must be above 0",
        "rules.slower: above: must be 0.05 or more",
        "rules.typo: Object contains unknown field `abov`",
        "receivers.w: url: it is no http",
        "receivers.w: secret_file: '../../etc/passwd' is no file's name",
        "receivers.v: url: a name or password does not belong into it",
        "shipped.off: there is no 'nothing'",
    ):
        assert any(part in each for each in told), (part, told)
    assert 16 == len(told)


DEEP = ".".join(["a"] * 100_000)


@pytest.mark.parametrize(
    "text",
    [
        "rules = 3",
        "[[rules",
        "[rules]",
        "a" * 300_000,
        "=" * 5000,
        "[" * 50_000,
        "a=" + "{b=" * 20_000,
        f"[{DEEP}]",
        f"{DEEP} = 1",
        f"x = {{{DEEP.replace('a', chr(34) * 2)} = 1}}",
    ],
    ids=range(10),
)
def test_what_is_no_file_of_rules_is_refused(text: str) -> None:
    """Whatever it is, by the same reason."""
    with pytest.raises(errors.InvalidArgument) as caught:
        read_rules(text)
    assert "ALERT_RULES_INVALID" == caught.value.reason


def test_a_rule_as_text_is_the_same_rule() -> None:
    """What is listed of a rule can be put into a file."""
    for rule in (*SHIPPED, *read_rules(GOOD).own, Latency(name="l", above="20ms")):
        assert (rule,) == read_rules(rule_toml(rule)).own


def test_without_a_file_the_shipped_rules_tell_the_log() -> None:
    """All of them are on."""
    assert (SHIPPED, ["log"]) == (
        DEFAULT_RULES.active,
        [receiver.name for receiver in DEFAULT_RULES.receivers],
    )


def test_callers_mistakes_are_those_of_the_page_of_errors() -> None:
    """A request that is wrong counts against no objective; a reason that is gone is not listed."""
    page = (DOCS / "errors.md").read_text()
    wrong = page.partition("\n## InvalidArgument\n")[2].partition("### Registry")[0]
    reasons = re.compile(r"^\| `([A-Z_0-9]+)`", re.MULTILINE)
    of_the_service = {"LOAD_FAILED", "REGION_GONE"}
    assert set() == set(reasons.findall(wrong)) - CALLERS - of_the_service
    assert set() == CALLERS - set(reasons.findall(page))


def test_lengths_of_time() -> None:
    """As they are read, and written."""
    texts = ["200ms", "30s", "5m", "6h", "30d", "90s"]
    assert [0.2, 30, 300, 21_600, 2_592_000, 90] == [seconds_of(text) for text in texts]
    assert texts == [duration_text(seconds_of(text)) for text in texts]
    for wrong in ("", "5", "m", "-5m", "5 m", "1e9s", "5M"):
        with pytest.raises(ValueError, match="no length of time"):
            seconds_of(wrong)


def test_addresses_are_shown_without_what_may_be_a_key() -> None:
    """A path of a webhook often is one."""
    assert "https://h.example/…" == public_url("https://u:p@h.example/services/T0/B0/key?x=1")
    assert "http://[::1]:80" == public_url("http://[::1]:80/")
