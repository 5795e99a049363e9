"""Signed versions from push to load: a registry and a replica that demand signatures, and real keys."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headrace import AsyncClient, errors
from headrace.artifacts.digests import artifact_digest
from headrace.artifacts.signature_policy import PolicyFile
from headrace.artifacts.signatures import SigningKey, sign
from headrace.client import methods
from headrace.inference import grpc_service_pb2 as oip
from headrace.state.records import ArtifactFile, LoadState, ServingConfig, Signature, VersionRecord
from headrace.triton.importing import import_model
from headrace_inference.adapters.trust import trust_check
from tests.rpc.registry_fixtures import external_data_files, onnx_file, running_registry
from tests.rpc.replica_fixtures import running_replica
from tests.rpc.test_cli_commands import Shell, model_file
from tests.rpc.test_inference_loading import ROWS, Suite, suite
from tests.unit.headrace.artifacts.keys import certified, key_pair
from tests.unit.headrace.artifacts.test_signatures import one_rule, policy_file


def signing_key(folder: Path, name: str) -> SigningKey:
    """A private key whose public one lies beside it."""
    return SigningKey(key_pair(folder, name).private)


async def test_a_registry_takes_what_its_policy_trusts(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Unsigned, by another, over other bytes: refused with a reason, and nothing of it stays."""
    team = key_pair(tmp_path, "team")
    ours, theirs = SigningKey(team.private), signing_key(tmp_path, "other")
    policy = one_rule(tmp_path, "fraud-*", team)
    reasons = []
    async with (
        running_registry(
            redis_url, namespace, tmp_path / "data", signature_policy=policy
        ) as running,
        AsyncClient(registry=running.address) as client,
    ):
        signed = await client.push("fraud-eu", onnx_file(), signing_key=ours)
        bundle = signed.signature_bundle
        for changes in (
            {},
            {"signing_key": theirs},
            {"signature_bundle": "{}"},
            {"signature_bundle": bundle},
        ):
            with pytest.raises(errors.HeadraceError) as refused:
                await client.push("fraud-eu", onnx_file(2.0), **changes)
            reasons.append(refused.value.reason)
        files = {file.sha256 for file in signed.files}
        assert files == running.stored_files()
        free = await client.push("digits", onnx_file())
        (listed,) = await client.versions("fraud-eu")
    assert [
        "SIGNATURE_MISSING",
        "SIGNATURE_UNTRUSTED",
        "SIGNATURE_MALFORMED",
        "SIGNATURE_MISMATCH",
    ] == reasons
    assert "signed by the key team.pem" == signed.notices[-1]
    assert (bundle, "") == (listed.signature_bundle, free.signature_bundle)


async def test_a_folder_is_signed_as_it_is_stored(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """External data, one folder around all, and a signature made elsewhere, which is no file of it."""
    folder = tmp_path / "outer" / "inner"
    folder.mkdir(parents=True)
    for name, data in external_data_files().items():
        (folder / name).write_bytes(data)
    key = signing_key(tmp_path, "team")
    archive = tmp_path / "model.zip"
    archive.write_bytes(b"PK\5\6" + bytes(18))
    async with (
        running_registry(redis_url, namespace, tmp_path / "data") as running,
        AsyncClient(registry=running.address) as client,
    ):
        first = await client.push("m", folder, signing_key=key)
        await client.pull("m", 1, tmp_path / "pulled")
        again = await client.push("m", tmp_path / "pulled", signature_bundle=first.signature_bundle)
        outer = await client.push("m", tmp_path / "outer", signing_key=key)
        with pytest.raises(errors.InvalidArgument) as refused:
            await client.push("m", archive, signing_key=key)
        with pytest.raises(errors.FailedPrecondition) as full:
            await client.pull("m", 1, tmp_path / "pulled")
    assert first.digest == again.digest == outer.digest
    assert {*external_data_files(), "model.sig"} == {
        path.name for path in (tmp_path / "pulled").iterdir()
    }
    assert "ARTIFACT_NOT_SIGNABLE" == refused.value.reason
    assert "FOLDER_NOT_EMPTY" == full.value.reason


async def test_an_import_of_tritons_models_is_signed(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Each version that it pushes; without the key none is taken."""
    folder = tmp_path / "repository" / "fraud-eu"
    (folder / "1").mkdir(parents=True)
    (folder / "1" / "model.onnx").write_bytes(onnx_file())
    (folder / "config.pbtxt").write_text('platform: "onnxruntime_onnx"')
    team = key_pair(tmp_path, "team")
    policy = one_rule(tmp_path, "fraud-*", team)
    async with (
        running_registry(
            redis_url, namespace, tmp_path / "data", signature_policy=policy
        ) as running,
        AsyncClient(registry=running.address) as client,
    ):
        refused = await import_model(client, folder)
        signed = await import_model(client, folder, signing_key=SigningKey(team.private))
    (failure,) = [version.failure for version in refused.versions]
    assert failure is not None
    assert "SIGNATURE_MISSING" == failure.reason
    assert [("pushed", 1)] == [(version.action, version.number) for version in signed.versions]


@pytest.mark.toolchain
async def test_commands_sign_pull_and_verify(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """And the library's own command line agrees about what was pulled, and about one changed byte."""
    pair, other = key_pair(tmp_path, "team"), key_pair(tmp_path, "other")
    chain = certified(tmp_path, "release")
    pulled = tmp_path / "pulled"
    async with running_registry(redis_url, namespace, tmp_path / "data") as running:
        shell = Shell(("--registry", running.address))
        model = model_file(tmp_path)
        pushed = await shell("push", "add", model, "--sign-key", str(pair.private))
        right = await shell("verify", "add", "--public-key", str(pair.public), "--json")
        wrong = await shell("verify", "add", "--public-key", str(other.public))
        await shell(
            "push", "add", model, f"--sign-key={chain.private}", f"--sign-certificate={chain.certificate}",
            f"--sign-chain={chain.authority}",
        )  # fmt: skip
        by_authority = await shell(
            "verify", "add", "--version=2", f"--certificate-authority={chain.authority}"
        )
        nothing = await shell("verify", "add")
        got = await shell("pull", "add", str(pulled), "--version", "1")
    assert "signed, which nobody has verified here" in pushed.output
    assert "signed by the key team.pem" == right.document["verified"]
    assert (1, True) == (wrong.status, "[SIGNATURE_UNTRUSTED]" in wrong.error)
    assert "signed by a certificate that is trusted (1 file)" in by_authority.output
    assert (2, 0) == (nothing.status, got.status)
    assert 0 == _verified_by_the_library(pulled, pair.public)
    graph = pulled / "model.onnx"
    graph.write_bytes(graph.read_bytes()[:-1] + b"!")
    assert 0 != _verified_by_the_library(pulled, pair.public)


def _verified_by_the_library(folder: Path, public_key: Path) -> int:
    """The exit status of the library's own command."""
    signature = folder / "model.sig"
    command = [sys.executable, "-m", "model_signing", "verify", "key", str(folder)]
    options = ["--signature", str(signature), "--public_key", str(public_key)]
    ignored = ["--ignore-paths", str(signature)]
    return subprocess.run(
        [*command, *options, *ignored], capture_output=True, check=False
    ).returncode


async def test_a_replica_loads_what_its_policy_trusts(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """The reason stands in the status; a key that is added to the policy has the version loaded."""
    team, other = key_pair(tmp_path, "team"), key_pair(tmp_path, "other")
    policy = one_rule(tmp_path, "good", other)
    async with suite(redis_url, namespace, tmp_path, signature_policy=policy) as running:
        await running.client.push("free", onnx_file())
        assert (LoadState.READY, "") == await running.settled("free")
        await running.client.push("good", onnx_file(2.0), signing_key=SigningKey(team.private))
        state, reason = await running.settled("good")
        with pytest.raises(errors.Unavailable):
            await running.client.infer("good", {"x": ROWS}, timeout_seconds=0.2)
        one_rule(tmp_path, "good", other, team)
        answer = await _answer(running)
    assert LoadState.UNAVAILABLE is state
    assert reason.startswith("VERSION_UNTRUSTED: good/1 is not loaded")
    assert "[SIGNATURE_UNTRUSTED]" in reason
    assert np.array_equal(ROWS + 2.0, answer)


async def _answer(running: Suite) -> Any:
    await running.client.wait_until_ready("good", 1, timeout_seconds=30.0)
    result = await running.client.infer("good", {"x": ROWS})
    (values,) = result.outputs.values()
    return values


async def test_models_of_callers_are_under_the_policy_too(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """A name that must be signed cannot be taken by a load that brings its own files."""
    policy = one_rule(tmp_path, "good", key_pair(tmp_path, "team"))
    changes = {"signature_policy": policy, "model_control": "explicit"}
    async with suite(redis_url, namespace, tmp_path, **changes) as running:
        with pytest.raises(errors.HeadraceError) as refused:
            await _load(running, "good")
        await _load(running, "free")
    assert "SIGNATURE_MISSING" in refused.value.message


async def _load(running: Suite, name: str) -> None:
    request = oip.RepositoryModelLoadRequest(model_name=name)
    request.parameters["config"].string_param = "{}"
    request.parameters["file:1/model.onnx"].bytes_param = onnx_file()
    await running.client._calls.unary(
        "inference", methods.REPOSITORY_MODEL_LOAD, request, repeatable=False
    )


def test_a_record_that_was_exchanged_in_the_shared_state_is_not_loaded(tmp_path: Path) -> None:
    """Other files, or the digest of what another version had prepared here, with a good signature."""
    pair = key_pair(tmp_path, "team")
    file = ArtifactFile("model.onnx", 3, "ab" * 32)
    bundle = sign("m", {file.path: file.sha256}, SigningKey(pair.private))
    record = VersionRecord(
        "m", 1, artifact_digest({file.path: file.sha256}), (file,), file.path,
        Signature((), ()), ServingConfig(), 0.0, signature_bundle=bundle,
    )  # fmt: skip
    check = trust_check(PolicyFile(one_rule(tmp_path, "m", pair)))
    check(record)
    for exchanged in (
        replace(record, digest="cd" * 32),
        replace(record, files=(replace(file, sha256="cd" * 32),)),
        replace(record, signature_bundle=""),
    ):
        with pytest.raises(errors.Unavailable) as refused:
            check(exchanged)
        assert "VERSION_UNTRUSTED" == refused.value.reason


@pytest.mark.parametrize("text", ["", "[[rule]]\nmodels = ['*']"])
async def test_nothing_starts_with_a_policy_that_cannot_be_used(
    redis_url: str, namespace: str, tmp_path: Path, text: str
) -> None:
    """Rather than take everything."""
    policy = policy_file(tmp_path, text)
    with pytest.raises(errors.InvalidArgument) as registry:
        async with running_registry(redis_url, namespace, tmp_path, signature_policy=policy):
            pass
    with pytest.raises(errors.InvalidArgument) as replica:
        async with running_replica(redis_url, tmp_path, signature_policy=policy):
            pass
    assert {"SIGNATURE_POLICY_INVALID"} == {registry.value.reason, replica.value.reason}
