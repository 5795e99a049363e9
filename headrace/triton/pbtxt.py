"""`config.pbtxt`: a model's config in protobuf's text format, read and written."""

from __future__ import annotations

from pathlib import Path

from google.protobuf import text_format

from headrace import errors
from headrace.inference import model_config_pb2
from headrace.triton.impossible import impossible_values


def read_config(path: Path) -> model_config_pb2.ModelConfig:
    """The config in a file. Raises InvalidArgument (CONFIG_PBTXT_INVALID) with the place."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _invalid(f"{path} cannot be read: {error}") from error
    return parse_config(text, str(path))


def parse_config(text: str, where: str) -> model_config_pb2.ModelConfig:
    """The config that a text says; `where` is named in errors, with line and column.

    Raises InvalidArgument (CONFIG_PBTXT_INVALID).
    """
    config = model_config_pb2.ModelConfig()
    try:
        text_format.Parse(text, config)
    except text_format.ParseError as error:
        line, column = error.GetLine(), error.GetColumn()
        place = f"{where}:{line}:{column}" if line else where
        what = str(error).removeprefix(f"{line}:{column} : ")
        raise _invalid(f"{place}: {what}") from error
    wrong = "; ".join(impossible_values(config))
    if wrong:
        raise _invalid(f"{where}: {wrong}")
    return config


def format_config(config: model_config_pb2.ModelConfig) -> str:
    """The text of a config, as `config.pbtxt` holds it."""
    return text_format.MessageToString(config)


def _invalid(what: str) -> errors.InvalidArgument:
    return errors.InvalidArgument(
        "CONFIG_PBTXT_INVALID",
        f"{what}; what is allowed is a ModelConfig of Triton in protobuf's text format",
    )
