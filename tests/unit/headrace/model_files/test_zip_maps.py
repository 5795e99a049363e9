"""Taking ZipMap off graphs."""

from __future__ import annotations

from typing import Any

import pytest
from onnx import helper

from headrace.model_files.zip_maps import ZipMap, take_off_zip_maps
from tests.e2e.odd_graphs import FLOAT, INT64, ML, X, graph, info

MAPS = helper.make_sequence_type_proto(
    helper.make_map_type_proto(INT64, helper.make_tensor_type_proto(FLOAT, []))
)


def zip_map(given: str, made: str, **attributes: Any) -> Any:
    """A ZipMap."""
    return helper.make_node("ZipMap", [given], [made], domain=ML, **attributes)


def zipped(*nodes: Any) -> Any:
    """A model of these nodes whose output z is a sequence of maps."""
    return graph(nodes, [X], [helper.make_value_info("z", MAPS)])


@pytest.mark.parametrize(
    ("attributes", "classes"),
    [
        ({"classlabels_int64s": [-1, 5]}, ("-1", "5")),
        ({"classlabels_strings": ["a b", "ü"]}, ("a b", "ü")),
    ],
)
def test_the_output_becomes_the_tensor(
    attributes: dict[str, Any], classes: tuple[str, ...]
) -> None:
    """It keeps its name; the keys of the maps are its classes."""
    model = zipped(zip_map("x", "z", **attributes))
    assert (ZipMap("z", classes),) == take_off_zip_maps(model)
    assert ["Identity"] == [node.op_type for node in model.graph.node]
    assert FLOAT == model.graph.output[0].type.tensor_type.elem_type


def test_a_model_without_operators_of_onnx_gets_their_opset() -> None:
    """Identity is one of them."""
    model = zipped(zip_map("x", "z", classlabels_int64s=[0, 1]))
    del model.opset_import[0]
    take_off_zip_maps(model)
    assert [(ML, 3), ("", 7)] == [(each.domain, each.version) for each in model.opset_import]


def test_a_zip_map_without_classes_stays() -> None:
    """ONNX Runtime does not run it."""
    assert () == take_off_zip_maps(zipped(zip_map("x", "z")))


def test_maps_that_the_model_uses_itself_stay() -> None:
    """What reads them would get a tensor."""
    model = zipped(
        zip_map("x", "z", classlabels_int64s=[0, 1]),
        helper.make_node("SequenceAt", ["z", "i"], ["first"]),
    )
    before = model.SerializeToString()
    assert () == take_off_zip_maps(model)
    assert before == model.SerializeToString()


def test_a_graph_without_them_is_not_changed() -> None:
    """Nor is a ZipMap of somebody else's domain."""
    other = helper.make_node("ZipMap", ["x"], ["z"], domain="mine")
    model = graph([other], [X], [info("z", None)])
    before = model.SerializeToString()
    assert () == take_off_zip_maps(model)
    assert before == model.SerializeToString()
