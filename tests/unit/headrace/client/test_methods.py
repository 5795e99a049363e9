"""The client's table of methods says what the protos say."""

from __future__ import annotations

from google.protobuf import descriptor_pool

from headrace.client import methods
from headrace.client.methods import Method
from headrace.inference._pool import POOL


def test_every_method_is_one_of_the_protos() -> None:
    """Path, request and response of each are those of the service's descriptor."""
    table = [value for value in vars(methods).values() if isinstance(value, Method)]
    for method in table:
        _, service, name = method.path.split("/")
        pool = POOL if service.startswith("inference.") else descriptor_pool.Default()
        found = pool.FindServiceByName(service).methods_by_name[name]
        assert (found.input_type.full_name, found.output_type.full_name) == method.messages
    assert len({method.path for method in table}) == len(table) > 20
