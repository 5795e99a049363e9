"""The Helm chart: valid manifests, real settings, real ports, no secret but as a file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from headrace.security.identity_file import read_identity_file
from headrace.settings import read
from headrace.tls.authority import Authority
from headrace_inference.settings import Settings as InferenceSettings
from headrace_monitor.settings import Settings as MonitorSettings
from headrace_registry.settings import Settings as RegistrySettings
from tests.e2e.kubernetes.manifests import (
    CHART,
    NAMESPACE,
    VALUES,
    Manifest,
    containers,
    manifests,
    needs_tools,
    of_kind,
    pods,
    ports_of,
    rendered,
    run,
    values_file,
)
from tests.unit.test_dashboards import undocumented

pytestmark = needs_tools

KUBERNETES = ("1.29", "1.32", "1.35")
UNKNOWN_TO_THE_VALIDATOR = {"Certificate", "PodMonitor", "ScaledObject"}
"""Kinds of cert-manager, the Prometheus operator and KEDA: docs/kubernetes.md says so."""

SETTINGS: Mapping[str, tuple[str, Any]] = {
    "headrace_registry": ("registry", RegistrySettings),
    "headrace_inference": ("inference", InferenceSettings),
    "headrace_monitor": ("monitor", MonitorSettings),
}
MOUNTED = ("/etc/", "/var/", "/run/")
"""Where files are that a pod gets."""
CERTIFICATE = Authority.create("tests", timedelta(days=1)).issued.certificate.decode()
DOWNWARD = {"$(POD_NAME)": "pod-1", "$(POD_IP)": "10.0.0.1"}

OF_EVERY_COMPONENT = {
    "settings",
    "env",
    "serviceAccount",
    "resources",
    "nodeSelector",
    "tolerations",
    "affinity",
    "priorityClassName",
    "podAnnotations",
    "extraVolumes",
    "extraVolumeMounts",
}

each_set_of_values = pytest.mark.parametrize("values", VALUES)


@each_set_of_values
def test_lint(values: str) -> None:
    """Helm has nothing to say, however strict it is."""
    said = run("helm", "lint", "--strict", str(CHART), values_file(values))

    assert "1 chart(s) linted, 0 chart(s) failed" in said
    assert "[WARNING]" not in said


@each_set_of_values
@pytest.mark.parametrize("version", KUBERNETES)
def test_manifests_are_valid(values: str, version: str, tmp_path: Path) -> None:
    """This Kubernetes knows every field; of kinds that are not its own nothing is said."""
    (tmp_path / "all.yaml").write_text(rendered(values))
    arguments = ["--strict", "-k", version, str(tmp_path / "all.yaml")]
    said = run("validator/bin/kubernetes-validate", *arguments)

    unknown = set(re.findall(r"Couldn't find schema for kind (\w+)", said))
    assert unknown <= UNKNOWN_TO_THE_VALIDATOR
    assert said.count(" passed for ") + said.count("Couldn't find") == len(
        manifests(rendered(values))
    )


@each_set_of_values
def test_every_flag_is_a_setting(values: str, tmp_path: Path) -> None:
    """What containers are started with is read by the classes that the services read it with."""
    ran = 0
    for container in containers(manifests(rendered(values))).values():
        if container["command"][0] != "python":
            continue
        assert settings_in(container, tmp_path).host in ("0.0.0.0", "::")
        ran += 1
    assert ran >= 2


def settings_of(module: str) -> tuple[str, Any]:
    """The service's name and its class of settings."""
    if module == "headrace.gateway":
        return "gateway", import_module("headrace.gateway.settings").Settings
    return SETTINGS[module]


def settings_in(container: Manifest, folder: Path) -> Any:
    """The settings of a container's process, with what the kubelet puts in; its files lie in a folder."""
    service, settings = settings_of(container["command"][-1])
    return read(settings, service, [_replaced(each, folder) for each in container["args"]], {})


def _replaced(argument: str, folder: Path) -> str:
    for name, value in DOWNWARD.items():
        argument = argument.replace(name, value)
    name, _, value = argument.partition("=")
    if not value.startswith(MOUNTED):
        return argument
    file = folder / value.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(CERTIFICATE if file.suffix == ".crt" else "content")
    return f"{name}={file}"


@each_set_of_values
def test_ports_are_those_that_processes_listen_on(values: str, tmp_path: Path) -> None:
    """A container names the ports of its settings, and no other."""
    for name, container in containers(manifests(rendered(values))).items():
        if container["command"][0] != "python":
            continue
        chosen = settings_in(container, tmp_path)
        named = ["grpc_port", "http_port", "metrics_port", "port"]
        listened = {getattr(chosen, port) for port in named if getattr(chosen, port, None)}
        assert listened == {each["containerPort"] for each in container["ports"]}, name
        for kind in ("startup", "readiness", "liveness"):
            probed = container[f"{kind}Probe"]["httpGet"]["port"]
            assert probed in [each["name"] for each in container["ports"]]


@each_set_of_values
def test_addresses_are_those_of_services(values: str) -> None:
    """What one process calls is a service of the chart, whose port leads to one of the other's."""
    found = manifests(rendered(values))
    services = {each["metadata"]["name"]: each for each in found if each["kind"] == "Service"}
    running = containers(found)
    called = [
        each.partition("=")[2].removeprefix("redis://")
        for container in running.values()
        for each in container["args"]
        if f".{NAMESPACE}.svc.cluster.local:" in each
    ]
    for address in called:
        host, _, port = address.partition(":")
        name, *domain = host.split(".")
        assert [NAMESPACE, "svc", "cluster", "local"] == domain
        (target,) = [
            each["targetPort"]
            for each in services[name]["spec"]["ports"]
            if each["port"] == int(port)
        ]
        component = services[name]["spec"]["selector"]["app.kubernetes.io/component"]
        assert target in [each["name"] for each in running[component]["ports"]]
    assert called
    for service in services.values():
        component = service["spec"]["selector"]["app.kubernetes.io/component"]
        assert service["spec"]["selector"] == selector_of(found, component)


@each_set_of_values
def test_network_policies_open_exactly_these_ports(values: str) -> None:
    """Every pod has a policy; what comes in reaches its ports alone; what goes out is let in there."""
    found = manifests(rendered(values))
    policies = of_kind(found, "NetworkPolicy")
    assert set(pods(found)) == set(policies)
    for name, container in containers(found).items():
        spec = policies[name]["spec"]
        assert ["Ingress", "Egress"] == spec["policyTypes"]
        assert spec["podSelector"]["matchLabels"] == selector_of(found, name)
        named = {port["containerPort"] for port in container["ports"]}
        assert named == set(ports_of(spec["ingress"])), name
    assert set(flows(policies, "egress", "to")) == set(flows(policies, "ingress", "from"))


def selector_of(found: Sequence[Manifest], component: str) -> Mapping[str, str]:
    """The labels by which a component's pods are chosen."""
    workload = of_kind(found, "Deployment", "StatefulSet")[component]
    labels: Mapping[str, str] = workload["spec"]["selector"]["matchLabels"]
    return labels


def flows(
    policies: Mapping[str, Manifest], direction: str, side: str
) -> Iterator[tuple[str, str, int]]:
    """Who calls whom at which port, between the chart's own pods."""
    for name, policy in policies.items():
        for rule in policy["spec"][direction]:
            for peer in rule.get(side) or []:
                labels = peer.get("podSelector", {}).get("matchLabels", {})
                other = labels.get("app.kubernetes.io/component")
                for port in rule["ports"] if other else []:
                    pair = (name, other) if direction == "egress" else (other, name)
                    yield (*pair, port["port"])


def test_only_who_needs_somebody_reaches_him() -> None:
    """Replicas behind a gateway are called by it alone, Redis by registry and replicas."""
    policies = of_kind(manifests(rendered("secure")), "NetworkPolicy")

    assert {
        ("inference", "registry", 8100),
        ("inference", "monitor", 8200),
        ("inference", "redis", 6379),
        ("registry", "redis", 6379),
        ("gateway", "inference", 8001),
        ("gateway", "inference", 8000),
        ("gateway", "registry", 8100),
        ("gateway", "monitor", 8200),
        ("gateway", "monitor", 8201),
        ("monitor", "registry", 8100),
        ("monitor", "inference", 8000),
    } == set(flows(policies, "egress", "to"))
    others = [rule for rule in policies["inference"]["spec"]["ingress"] if 8001 in ports_of([rule])]
    assert 1 == len(others)


@each_set_of_values
def test_no_secret_is_in_an_environment_or_an_argument(values: str) -> None:
    """Secrets are mounted as files, which nobody but the pod's group can read."""
    found = manifests(rendered(values))
    secrets = of_kind(found, "Secret")
    for name, pod in pods(found).items():
        (container,) = pod["containers"]
        assert "envFrom" not in container
        for variable in container.get("env", []):
            assert "secretKeyRef" not in variable.get("valueFrom", {})
        for secret in secrets.values():
            for value in secret["stringData"].values():
                assert value not in str(container["args"])
        for volume in pod["volumes"]:
            if "secret" in volume and "items" not in volume["secret"]:
                assert 0o440 == volume["secret"]["defaultMode"], name
            if "projected" in volume:
                assert 0o440 == volume["projected"]["defaultMode"], name
        for mount in container["volumeMounts"]:
            assert mount["mountPath"] in ("/data", "/tmp") or mount["readOnly"]


@each_set_of_values
def test_pods_have_no_rights(values: str) -> None:
    """As the restricted pod security standard has it, a read-only root, and no token of the API server."""
    found = manifests(rendered(values))
    for pod in pods(found).values():
        assert pod["securityContext"]["runAsNonRoot"]
        assert {"type": "RuntimeDefault"} == pod["securityContext"]["seccompProfile"]
        assert not pod["automountServiceAccountToken"]
        (container,) = pod["containers"]
        assert {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        } == container["securityContext"]
        assert container["resources"]["limits"]["memory"]
        assert "readinessProbe" in container
        assert "livenessProbe" in container
    for account in of_kind(found, "ServiceAccount").values():
        assert not account["automountServiceAccountToken"]


@each_set_of_values
def test_pods_have_the_time_to_drain(values: str) -> None:
    """Kubernetes waits for longer than a process takes to serve on and drain."""
    for pod in pods(manifests(rendered(values))).values():
        (container,) = pod["containers"]
        flags = dict(each.lstrip("-").partition("=")[::2] for each in container["args"])
        takes = float(flags.get("grace-seconds", 0)) + float(flags.get("drain-seconds", 0))
        assert takes + 5 <= pod["terminationGracePeriodSeconds"]


@each_set_of_values
def test_every_volume_that_is_mounted_is_there(values: str) -> None:
    """And every file that a flag names lies in one."""
    for workload in of_kind(manifests(rendered(values)), "Deployment", "StatefulSet").values():
        pod = workload["spec"]["template"]["spec"]
        claimed = workload["spec"].get("volumeClaimTemplates", [])
        (container,) = pod["containers"]
        mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        volumes = {volume["name"] for volume in pod["volumes"]}
        assert set(mounts) == volumes | {claim["metadata"]["name"] for claim in claimed}
        files = [
            each.partition("=")[2] for each in container["args"] if re.search("=/(etc|var)/", each)
        ]
        for file in files:
            assert any(file.startswith(f"{path}/") for path in mounts.values()), file


def test_tokens_are_for_one_audience() -> None:
    """Replicas, monitor and gateway have a token of their service account; the registry has none."""
    found = pods(manifests(rendered("secure")))
    tokens = {
        name: source["serviceAccountToken"]
        for name, pod in found.items()
        for volume in pod["volumes"]
        for source in volume.get("projected", {}).get("sources", [])
        if "audience" in source.get("serviceAccountToken", {})
    }

    assert {"inference", "monitor", "gateway"} == set(tokens)
    for token in tokens.values():
        assert ("headrace", 3600) == (token["audience"], token["expirationSeconds"])


def test_the_identity_file_names_the_cluster(tmp_path: Path) -> None:
    """It is one that services can read: the issuer of the cluster, its audience, and where its keys are."""
    config = of_kind(manifests(rendered("secure")), "ConfigMap")["identity"]
    (tmp_path / "identity.toml").write_text(config["data"]["identity.toml"])
    (issuer,) = read_identity_file(tmp_path / "identity.toml").issuers

    assert ("kubernetes", ("headrace",)) == (issuer.name, issuer.audiences)
    assert "https://kubernetes.default.svc.cluster.local" == issuer.issuer
    assert "https://kubernetes.default.svc.cluster.local/openid/v1/jwks" == issuer.jwks
    files = {tmp_path / "cluster-ca.crt", tmp_path / "cluster-token"}
    assert files == {Path(issuer.jwks_ca), Path(issuer.jwks_token_file)}


def test_the_autoscalers_watch_what_replicas_export() -> None:
    """KEDA's query asks for a documented metric; the deployment leaves the count to them."""
    secure, outside = manifests(rendered("secure")), manifests(rendered("outside"))
    trigger = of_kind(secure, "ScaledObject")["inference"]["spec"]["triggers"][0]

    assert set() == undocumented([trigger["metadata"]["query"]])
    assert f'namespace="{NAMESPACE}"' in trigger["metadata"]["query"]
    assert "inference" in of_kind(outside, "HorizontalPodAutoscaler")
    for found in (secure, outside):
        assert "replicas" not in of_kind(found, "Deployment")["inference"]["spec"]


def test_passwords_are_made_and_only_digests_reach_the_server() -> None:
    """The chart's own Valkey has users who may do what Headrace needs, and no other."""
    secret = of_kind(manifests(rendered("default")), "Secret")["redis"]["stringData"]
    users = secret["users.acl"].splitlines()

    for name in ("registry", "replica"):
        password = secret[f"{name}-password"]
        assert 40 == len(password)
        digest = hashlib.sha256(password.encode()).hexdigest()
        assert any(f"headrace-{name} on #{digest} " in user for user in users)
        assert password not in secret["users.acl"]
    assert "user default on nopass resetkeys resetchannels -@all +ping" == users[0]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ("inference.replica=3", "additional properties 'replica' not allowed"),
        ("gateway.replicas=1", "minimum: got 1, want 2"),
        ("inference.autoscaling.kind=vpa", "value must be one of 'none', 'hpa', 'keda'"),
        ("redis.externalUrl=redis://user:secret@host:1", "does not match pattern"),
        ("registry.settings.Max_x=1", "does not match pattern"),
        ("auth.enabled=true", "auth.enabled needs tls.enabled"),
        ("redis.internal=false", "redis.externalUrl is needed"),
        ("tls.enabled=true", "tls.enabled needs tls.secrets"),
    ],
)
def test_wrong_values_are_refused(values: str, said: str) -> None:
    """Helm says what is wrong, before anything reaches a cluster."""
    told = run("helm", "template", "trial", str(CHART), f"--set={values}", fails=True)

    assert said in told


def test_the_page_lists_every_value() -> None:
    """README.md has a row for each value that there is, and none that there is not."""
    listed = set(re.findall(r"^\| `([\w.]+)` \|", (CHART / "README.md").read_text(), re.MULTILINE))

    assert listed == set(names(yaml.safe_load((CHART / "values.yaml").read_text())))


def names(values: Mapping[str, Any], group: str = "") -> Iterator[str]:
    """The values, one level of groups apart; what every component has is COMPONENT's."""
    for name, value in values.items():
        if isinstance(value, dict) and value and not group:
            yield from names(value, name)
        elif group and name in OF_EVERY_COMPONENT and group != "image":
            yield f"COMPONENT.{name}"
        else:
            yield f"{group}.{name}" if group else name
