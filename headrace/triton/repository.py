"""A Triton model repository on disk: `MODEL/config.pbtxt`, `MODEL/1/model.onnx`, label files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from headrace import errors
from headrace.inference import model_config_pb2
from headrace.model_files.external_data import external_files
from headrace.model_files.labels import label_path
from headrace.model_files.platform_metadata import is_platform_metadata
from headrace.triton.backends import check_backend
from headrace.triton.hints import NOTHING
from headrace.triton.pbtxt import read_config
from headrace.triton.to_serving_config_warm_up import FOLDER, is_inside
from headrace.triton.unsupported_fields import UnsupportedField
from headrace.triton.versions import selected_versions, version_numbers

CONFIG = "config.pbtxt"
GRAPH = "model.onnx"


@dataclass(frozen=True, slots=True)
class TritonModel:
    """A model of a repository; `versions` are those that its policy selects, ascending."""

    name: str
    folder: Path
    config: model_config_pb2.ModelConfig
    versions: tuple[int, ...]


def model_folders(repository: Path, names: tuple[str, ...] = ()) -> list[Path]:
    """The folders of the models named, or of all. Raises NotFound (TRITON_MODEL_NOT_FOUND)."""
    folders = [path for path in sorted(repository.iterdir()) if path.is_dir() and _visible(path)]
    there = {folder.name for folder in folders}
    missing = [name for name in names if name not in there]
    if missing or not folders:
        raise errors.NotFound(
            "TRITON_MODEL_NOT_FOUND",
            f"the repository {repository} has no model {', '.join(missing) or 'at all'}; "
            f"its models are: {', '.join(sorted(there)) or 'none'}",
        )
    return [folder for folder in folders if not names or folder.name in names]


def _visible(path: Path) -> bool:
    return not path.name.startswith(".") and not is_platform_metadata(PurePosixPath(path.name))


def read_model(folder: Path) -> TritonModel:
    """The model in a folder.

    Raises InvalidArgument (CONFIG_PBTXT_INVALID, TRITON_MODEL_INVALID, TRITON_BACKEND_UNSUPPORTED) and
    NotFound (TRITON_VERSION_NOT_FOUND).
    """
    path = folder / CONFIG
    with file_errors(folder):
        config = read_config(path) if path.exists() else model_config_pb2.ModelConfig()
        numbers = version_numbers(path.name for path in folder.iterdir() if path.is_dir())
    if config.name not in ("", folder.name):
        raise _invalid(f"{path} names the model {config.name!r}; Triton wants the folder's name")
    check_backend(folder.name, config)
    return TritonModel(folder.name, folder, config, tuple(selected_versions(config, numbers)))


def version_files(model: TritonModel, number: int) -> dict[str, Path]:
    """The files of a version by their paths in an artifact: graph, external data, labels, warm-up values.

    Raises NotFound (TRITON_VERSION_NOT_FOUND) without a graph, InvalidArgument for unsafe or missing
    external data, labels and values.
    """
    graph = graph_of(model, number)
    return {GRAPH: graph, **external_files(graph), **label_files(model), **sample_files(model)}


def graph_of(model: TritonModel, number: int) -> Path:
    """The graph of a version. Raises NotFound (TRITON_VERSION_NOT_FOUND) where there is none."""
    name = model.config.default_model_filename or GRAPH
    path = _inside(model.folder / str(number), name)
    graph = path / GRAPH if path.is_dir() else path
    if not graph.is_file():
        raise errors.NotFound(
            "TRITON_VERSION_NOT_FOUND",
            f"version {number} of model {model.name!r} has no graph: there is no file {graph}",
        )
    return graph


def label_files(model: TritonModel) -> dict[str, Path]:
    """The label files of a model's outputs by their paths in an artifact.

    Raises InvalidArgument (TRITON_MODEL_INVALID) where one is not there, or not in the model's folder.
    """
    found: dict[str, Path] = {}
    labelled = [output for output in model.config.output if output.label_filename]
    for output in labelled:
        path = _inside(model.folder, output.label_filename)
        if not path.is_file():
            raise _invalid(f"output {output.name!r} has its labels in {path}, which is not there")
        if (name := label_path(output.name, alone=len(model.config.output) == 1)) is not None:
            found[name] = path
    return found


def sample_files(model: TritonModel) -> dict[str, Path]:
    """The files of a model's warm-up samples by their paths in an artifact.

    Raises InvalidArgument (TRITON_MODEL_INVALID) where one is not there; those that a config names outside
    of the model's folder for them are not taken.
    """
    found: dict[str, Path] = {}
    for sample in model.config.model_warmup:
        for value in sample.inputs.values():
            name = value.input_data_file
            if name and is_inside(name):
                found[f"{FOLDER}/{name}"] = model.folder / FOLDER / name
    missing = [str(path) for path in found.values() if not path.is_file()]
    if missing:
        raise _invalid(f"warm-up samples have values in {', '.join(missing)}: not there")
    return found


def unused_files(
    model: TritonModel, number: int, files: Mapping[str, Path]
) -> Iterator[UnsupportedField]:
    """An entry for each file of a version's folder that its graph does not name."""
    folder = model.folder / str(number)
    for path in sorted(folder.rglob("*")):
        name = PurePosixPath(path.relative_to(model.folder))
        if path.is_file() and path not in files.values() and not is_platform_metadata(name):
            yield UnsupportedField(name.as_posix(), "(file)", "the graph does not name it", NOTHING)


def _inside(folder: Path, name: str) -> Path:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise _invalid(f"{name!r} leads out of {folder}; files must lie in the model's folder")
    return folder / path


@contextmanager
def file_errors(folder: Path) -> Iterator[None]:
    """Yield what the file system refuses of a model, as InvalidArgument (TRITON_MODEL_INVALID)."""
    try:
        yield
    except OSError as error:
        raise _invalid(f"the model in {folder} cannot be read: {error}") from error


def _invalid(what: str) -> errors.InvalidArgument:
    return errors.InvalidArgument("TRITON_MODEL_INVALID", what)
