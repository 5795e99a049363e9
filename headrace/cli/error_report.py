"""Prints a failed command's error, and chooses its exit status."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping

from headrace import errors

EXIT_REFUSED = 1
EXIT_USAGE = 2
EXIT_UNAVAILABLE = 3
EXIT_DEADLINE = 4
EXIT_INTERRUPTED = 130

EXIT_CODES = """Exit status: 0 done; 1 refused, the message says why; 2 wrong usage; 3 a service is away
or cannot do it now; 4 the time allowed by --timeout ran out; 130 interrupted."""

_REMEDIES: Mapping[str, str] = {
    "SERVICE_UNREACHABLE": "if it runs elsewhere, say where: --{service} HOST:PORT",
    "MODEL_NOT_FOUND": "`headrace models` lists the models, `headrace push` creates one",
    "VERSION_NOT_FOUND": "`headrace versions NAME` lists the versions",
    "REFERENCE_NOT_FOUND": "`headrace reference set NAME --samples FILE` makes one",
    "ATTACHMENT_NOT_FOUND": "`headrace annotate NAME` lists what is attached",
    "ENFORCEMENT_INVALID": "`headrace reference show NAME` lists the fields",
    "DATA_OUT_OF_SCHEMA": "`headrace reference show NAME` lists what is allowed",
    "ALIAS_NOT_FOUND": "`headrace alias NAME` lists the aliases",
    "MODEL_HAS_VERSIONS": "--force deletes its versions with it",
    "MODEL_PROTECTED": "`headrace model NAME --unprotect` takes its protection away",
    "VERSION_IN_USE": "`headrace route` and `headrace alias` move what names it",
    "DATA_IN_USE": "`headrace push` adds models to a suite that runs; --data FOLDER starts another",
    "ETAG_MISMATCH": "somebody changed it meanwhile: look again, then repeat the command",
    "SIGNATURE_CHANGED": "--allow-signature-change goes on anyway",
    "GATE_NOT_PASSED": "`headrace gate NAME` shows every rule; --allow-gate-failure goes on anyway",
    "VERSION_NOT_SERVED": "`headrace status NAME` shows every replica; --allow-unready goes on anyway",
    "VERSION_UNAVAILABLE": "`headrace status NAME` shows every replica",
    "VERSION_NOT_READY": "`headrace status NAME` shows every replica; --timeout allows more time",
    "VERSION_KIND": "`headrace versions NAME` says what a version can be asked for",
    "GENERATION_UNSUPPORTED": "`headrace push --as tensors` takes its graph as any other",
    "CHAT_TEMPLATE_MISSING": "`headrace generate NAME TEXT` goes on from a text as it is",
    "DEADLINE_EXCEEDED": "--timeout SECONDS allows more time",
}


def exit_status(error: errors.HeadraceError) -> int:
    """The exit status that says what an error says."""
    if isinstance(error, errors.Unavailable):
        return EXIT_UNAVAILABLE
    return EXIT_DEADLINE if isinstance(error, errors.DeadlineExceeded) else EXIT_REFUSED


def report(error: errors.HeadraceError, *, as_json: bool) -> int:
    """Print an expected error on standard error; returns the exit status."""
    return _report(
        error.reason,
        error.message,
        remedy=_remedy(error),
        status=exit_status(error),
        facts=error.facts,
        violations=error.violations,
        as_json=as_json,
    )


def report_usage(message: str, command: str, *, as_json: bool, hint: str = "") -> int:
    """Print what is wrong with the arguments or the settings; returns the exit status."""
    remedy = "; ".join(filter(None, (hint, f"`{command} --help` explains")))
    return _report("USAGE", message, remedy=remedy, status=EXIT_USAGE, as_json=as_json)


def _remedy(error: errors.HeadraceError) -> str:
    remedy = _REMEDIES.get(error.reason, "")
    if error.reason == "SERVICE_UNREACHABLE":
        remedy = remedy.format_map(error.facts)
    return "; ".join(filter(None, (remedy, *getattr(error, "__notes__", ()))))


def _report(
    reason: str,
    message: str,
    *,
    remedy: str,
    status: int,
    facts: Mapping[str, str] | None = None,
    violations: tuple[errors.FieldViolation, ...] = (),
    as_json: bool,
) -> int:
    if as_json:
        fields = [{"field": v.field, "description": v.description} for v in violations]
        error = {"reason": reason, "message": message, "remedy": remedy, "facts": facts or {}}
        print(json.dumps({"error": error | {"violations": fields}}), file=sys.stderr)
        return status
    print(f"error: {printable(message)} [{reason}]", file=sys.stderr)
    for line in (f"{violation.field}: {violation.description}" for violation in violations):
        if line not in message:
            print(f"  {printable(line)}", file=sys.stderr)
    if remedy:
        print(f"  {printable(remedy)}", file=sys.stderr)
    return status


def printable(text: str) -> str:
    """The text in one line, with nothing that a terminal would obey: others wrote it."""
    return "".join(char if char.isprintable() else " " for char in text)
