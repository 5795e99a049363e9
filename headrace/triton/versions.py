"""Selects the versions of a Triton model by their folders' names and the version policy."""

from __future__ import annotations

import re
from collections.abc import Iterable

from headrace import errors
from headrace.inference import model_config_pb2

_NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")


def version_numbers(names: Iterable[str]) -> list[int]:
    """The versions among a model's folders, ascending; Triton passes over `007` and what is no number."""
    return sorted(int(name) for name in names if _NUMBER.fullmatch(name))


def selected_versions(config: model_config_pb2.ModelConfig, numbers: list[int]) -> list[int]:
    """Those of the ascending `numbers` that the version policy selects: by default the latest.

    Raises NotFound (TRITON_VERSION_NOT_FOUND) where it names one that is not there, or nothing is.
    """
    policy = config.version_policy
    missing = sorted(set(policy.specific.versions) - set(numbers))
    if missing or not numbers:
        raise errors.NotFound(
            "TRITON_VERSION_NOT_FOUND",
            f"the model has the version folders {numbers}; "
            + (f"its version policy names {missing}" if missing else "it needs one, such as 1/"),
        )
    match policy.WhichOneof("policy_choice"):
        case "all":
            return numbers
        case "specific":
            return sorted(set(policy.specific.versions))
    return numbers[-max(1, policy.latest.num_versions) :]
