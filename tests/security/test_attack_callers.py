"""Callers who bring what nobody foresaw: names without end, one token in many forms, half a header."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from headrace import errors
from headrace.inference import grpc_service_pb2 as pb
from headrace.security.api_keys import make_key
from headrace.security.credentials import bearer_of, credentials_of
from headrace.security.identities import NOBODY, Identity, Proof
from headrace.security.policy import Binding, Grant, Policy
from headrace.security.verbs import Verb
from headrace_inference.adapters.system_clock import SYSTEM_CLOCK
from headrace_inference.domain.ingress.callers import MAX_NAMES, Callers
from tests.rpc.grpc_fixtures import FRONTS
from tests.security.asked_models import IDS, OURS, WAYS, open_models, outcome
from tests.security.keyring import Keyring

ways = pytest.mark.parametrize(("front", "wire"), WAYS, ids=IDS)
fronts = pytest.mark.parametrize("front", FRONTS)

LONG, MANY = 250_000, 40
MOST_KEPT = 3 * 2**20
"""Less than a third of what the names have together."""


@contextmanager
def keeping_little() -> Iterator[None]:
    """What is done inside leaves little in memory."""
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        yield
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] - before < MOST_KEPT
    finally:
        tracemalloc.stop()


@fronts
@pytest.mark.parametrize("subject", ["", "new", "ours", "all"])
async def test_long_names_are_not_kept(tmp_path: Path, front: str, subject: str) -> None:
    """Strangers, and callers whose pattern a name would fit, fill no memory with names, and no answer."""
    keys = Keyring(
        {
            "new": (),
            "ours": (Grant("caller", ("echo-*",)),),
            "all": (Grant("caller"),),
        }
    )
    expected = {"": grpc.StatusCode.UNAUTHENTICATED, "all": grpc.StatusCode.NOT_FOUND}
    async with open_models(tmp_path, keys.access, front) as replica:

        async def ask(number: int) -> grpc.aio.AioRpcError:
            message = pb.ModelInferRequest(model_name=f"echo-{number}-" + "a" * LONG)
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await replica.stub.ModelInfer(message, metadata=keys.metadata(subject))
            return refusal.value

        refused = await ask(0)
        wanted = expected.get(subject, grpc.StatusCode.PERMISSION_DENIED)
        assert refused.code() is wanted
        if subject != "all":
            assert len(refused.details() or "") < 1000
        with keeping_little():
            for number in range(1, MANY):
                await ask(number)


def test_decisions_on_long_names_are_not_kept() -> None:
    """A policy denies them by their length, whatever pattern they fit; who may all may them."""
    granted = {"some": (Grant("caller", ("a*",)),), "all": (Grant("caller"),)}
    policy = Policy(bindings={who: Binding(grants) for who, grants in granted.items()})
    some, every = Identity("some", Proof.API_KEY), Identity("all", Proof.API_KEY)
    with keeping_little():
        for number in range(MANY):
            name = f"a{number}" + "a" * LONG
            assert not policy.may(some, Verb.INFER, name)
            assert not policy.may(NOBODY, Verb.INFER, name)
            assert policy.may(every, Verb.INFER, name)
    assert policy.may(some, Verb.INFER, "a" * 128)


def test_names_of_many_callers_are_bounded_together() -> None:
    """A key under many forms does not have as many names remembered under each."""
    keys = Keyring({"ours": (Grant("caller", ("echo-*",)),)})
    value = keys.headers("ours")["authorization"]
    schemes = ("Bearer", "bearer", "BEARER", "bEARER")
    forms = [f"{scheme}{' ' * spaces}{value[7:]}" for scheme in schemes for spaces in range(1, 7)]
    callers = Callers(SYSTEM_CLOCK, keys.access)
    now = SYSTEM_CLOCK.monotonic_ns()
    for number in range(MAX_NAMES + 10):
        form = forms[number % len(forms)]
        callers.enter([("authorization", form)], f"echo-{number // 1000}-{number}", now)
    kept = sum(len(callers.caller([("authorization", form)], now).models) for form in forms)
    assert kept < MAX_NAMES


@ways
async def test_an_empty_header_beside_a_token_proves_nothing(
    tmp_path: Path, front: str, wire: str
) -> None:
    """In either order, and also once the token is known: whoever stands before us may read the other."""
    keys = Keyring({"ours": (Grant("caller", (OURS,)),)})
    good, empty = keys.metadata("ours"), [("authorization", "")]
    async with open_models(tmp_path, keys.access, front) as replica:
        assert await outcome(replica, wire, OURS, good) == ("OK", "", "")
        for headers in (empty + good, good + empty):
            status, reason, _ = await outcome(replica, wire, OURS, headers)
            assert (status, reason) == ("UNAUTHENTICATED", "CREDENTIALS_MALFORMED")


@pytest.mark.parametrize(
    "form",
    [
        "Bearer" + " " * 20 + "{}",
        "Bearer {}" + " " * 20,
        "Bearer\t{}",
        "Bearer {}\t",
        "Bearer {}\N{NO-BREAK SPACE}",
        "Bearer {},",
        "Bearer {} {}",
        "Bearer,{}",
        "Token {}",
        "{}",
    ],
)
def test_a_token_in_another_form_is_none(form: str) -> None:
    """A token that passed in any number of forms would be remembered as many times."""
    keys = Keyring({"ours": ()})
    key = bearer_of(keys.headers("ours")["authorization"])
    credentials = credentials_of([("authorization", form.format(key, key))])
    with pytest.raises(errors.Unauthenticated):
        keys.access.identify(credentials)


def test_a_token_may_have_a_few_spaces_around_it() -> None:
    """As HTTP allows between the scheme and the token."""
    key = make_key()
    assert bearer_of(f"bearer   {key} ") == key
