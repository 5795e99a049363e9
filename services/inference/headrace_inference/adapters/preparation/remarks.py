"""Says of a version that is open how it was prepared, to its users and in the log."""

from __future__ import annotations

from headrace_inference.adapters.preparation.cache import Entry
from headrace_inference.domain.scheduling.execution_plan import ExecutionPlan

NOT_MEASURED = "not measured yet: until the machine is quiet it runs as is right on any machine"


def remark_on(plan: ExecutionPlan, entry: Entry, more: str = "") -> str:
    """Return what whoever asks how a version serves should know."""
    remarks = []
    if entry.unsaved_because:
        remarks.append(f"the graph serves as it was pushed: {entry.unsaved_because}")
    if plan.affordable_rows:
        remarks.append(
            f"at most {plan.affordable_rows} rows are put together: more cost too much, or bring nothing"
        )
    if plan.is_provisional:
        remarks.append(NOT_MEASURED)
    return "; ".join(filter(None, (*remarks, more)))


def plan_facts(plan: ExecutionPlan) -> dict[str, object]:
    """Return the choices of a plan, for the log."""
    return {
        "instances": plan.instances,
        "threads": plan.intra_op_threads,
        "rows": plan.best_batch_rows,
        "single_request_threads": plan.single_request_threads,
        "affordable_rows": plan.affordable_rows,
        "measured": not plan.is_provisional,
    }
