"""Gates: rules over the metrics of a version, and the verdict with a reason for each.

    gate = GateRecord(
        require=("accuracy >= 0.95", "f1.fraud.lower > 0.8", "accuracy{region=eu} > 0.9"),
        no_worse_than=(comparison("log_loss:0.01@stable"),),
    )
    check_gate(gate)                                     # raises InvalidArgument (GATE_INVALID)
    verdict = judge(gate, metrics, {"": Reference("version 3", metrics_of_3), "stable": None})
    verdict.passed; verdict.lines()                      # one line a rule

The registry asks them of what an alias or a route is to name, `headrace evaluate --require …` of what it
has just measured: both with the same words. Nothing here reads a state or a clock.
"""

from headrace.gates.directions import is_smaller_better
from headrace.gates.judging import Reference, judge, references_for
from headrace.gates.measured import Measured, Measurements
from headrace.gates.rules import GATE_INVALID, check_gate, comparison, written_comparison
from headrace.gates.verdict import Result, Verdict

__all__ = [
    "GATE_INVALID",
    "Measured",
    "Measurements",
    "Reference",
    "Result",
    "Verdict",
    "check_gate",
    "comparison",
    "is_smaller_better",
    "judge",
    "references_for",
    "written_comparison",
]
