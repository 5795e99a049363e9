"""The suite as a team puts it on the network: TLS, keys, roles, one gateway, tokens, and the audit.

    python examples/demo_secure.py

Trains a model, makes a private authority, starts the whole suite as real processes on free ports of this
machine, and stops all of it at the end. It needs the extras `gateway` and `security`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Self

import jwt
import numpy as np
from cryptography.hazmat.primitives.asymmetric import ec

import headrace
from headrace.service.parent_death import tether

EXAMPLES = Path(__file__).parent
CLI = (sys.executable, "-m", "headrace.cli")
MODEL, HIDDEN = "digits", "payroll"
ISSUER, AUDIENCE = "https://login.example", "headrace"
CALLERS = 4
STEADY_SECONDS = 1.0


class Steps:
    """Numbered headlines with the time since the start, and what did not hold."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._number = 0
        self.failed: list[str] = []

    def next(self, text: str) -> None:
        """The next headline."""
        self._number += 1
        print(f"\n[{time.monotonic() - self._started:5.1f} s] {self._number}. {text}", flush=True)

    def check(self, text: str, *, held: bool) -> None:
        """Print what should hold, and whether it does."""
        print(f"   {'ok  ' if held else 'NOT '} {text}", flush=True)
        if not held:
            self.failed.append(text)


class Team:
    """The folder with everybody's secrets, and the address of the suite."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.pki = work / "pki"
        self.gateway = ""

    def run(self, *arguments: str, who: str = "", reason: str = "") -> str:
        """Run `headrace` as somebody and return what it prints."""
        command = [*CLI, *arguments]
        if who:
            command += [f"--registry={self.gateway}", f"--inference={self.gateway}"]
            command += [f"--monitor={self.gateway}", f"--tls-ca={self.pki / 'ca.pem'}"]
            command += [f"--token-file={self.key_of(who)}"]
        if reason:
            command += [f"--reason={reason}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{' '.join(command[3:])}: {done.stderr}")
        return done.stdout

    def key_of(self, who: str) -> Path:
        """The file of somebody's key."""
        return self.work / f"{who}.key"

    def give_key(self, who: str, role: str, models: str) -> None:
        """Have the admin make a key for somebody, with a role."""
        key = self.run("keys", "create", who, f"--role={role}", f"--models={models}", who="admin")
        file = self.key_of(who)
        file.touch(0o600)
        file.write_text(key)
        print(f"   {who}: {role} of {models}", flush=True)

    def client(self, who: str) -> headrace.Client:
        """A client of somebody, through the gateway."""
        return headrace.Client(
            registry=self.gateway,
            inference=self.gateway,
            monitor=self.gateway,
            tls_ca=str(self.pki / "ca.pem"),
            token_file=str(self.key_of(who)),
        )


class Issuer:
    """An issuer of JWTs of our own: its key, and the file that lets others verify."""

    def __init__(self, work: Path) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self._key.public_key()))
        keys = {"keys": [public | {"kid": "1", "use": "sig", "alg": "ES256"}]}
        (work / "jwks.json").write_text(json.dumps(keys))
        self.identity_file = work / "identity.toml"
        self.identity_file.write_text(
            f'[[issuers]]\nname = "corp"\nissuer = "{ISSUER}"\naudiences = ["{AUDIENCE}"]\n'
            'jwks = "jwks.json"\nalgorithms = ["ES256"]\n'
        )

    def token(self, subject: str, seconds: float = 300, audience: str = AUDIENCE) -> str:
        """A token for somebody."""
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": audience, "sub": subject, "iat": now, "exp": now + seconds}
        return jwt.encode(claims, self._key, "ES256", {"kid": "1"})


class Load:
    """Callers that infer without a pause as somebody, and count what they are told."""

    def __init__(self, team: Team, who: str, image: Any) -> None:
        self._team, self._who, self._image = team, who, image
        self._stop = threading.Event()
        self.answers = 0
        self.failures: list[tuple[float, headrace.HeadraceError]] = []

    def __enter__(self) -> Self:
        self._threads = [threading.Thread(target=self._call) for _ in range(CALLERS)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _call(self) -> None:
        with self._team.client(self._who) as client:
            while not self._stop.is_set():
                try:
                    client.infer(MODEL, {"image": self._image})
                except headrace.HeadraceError as error:
                    self.failures.append((time.monotonic(), error))
                    self._stop.wait(0.02)
                else:
                    self.answers += 1


@contextmanager
def running_suite(team: Team, issuer: Issuer) -> Iterator[dict[str, Any]]:
    """The suite with everything on, on free ports, while inside; gives what its ready line says."""
    up = [*CLI, "up", "--port=0", "--json", f"--data={team.work / 'suite'}", "--replicas=2"]
    up += ["--auth", f"--admin-key-file={team.key_of('admin')}"]
    up += [f"--identity-file={issuer.identity_file}"]
    up += ["--gateway", "--gateway-port=0"]
    up += [f"--tls-cert={team.pki / 'server.pem'}", f"--tls-key={team.pki / 'server.key'}"]
    up += [f"--tls-ca={team.pki / 'ca.pem'}"]
    with (
        (team.work / "suite.log").open("w") as log,
        subprocess.Popen([*tether(), *up], stdout=subprocess.PIPE, stderr=log, text=True) as suite,
    ):
        try:
            assert suite.stdout
            line = suite.stdout.readline()
            if not line:
                sys.exit((team.work / "suite.log").read_text())
            yield json.loads(line)
        finally:
            suite.terminate()
            print(f"the suite stopped with status {suite.wait()}")


def reason_of(call: Callable[[], object]) -> str:
    """The reason that a call is refused with, '' where it is not."""
    try:
        call()
    except headrace.HeadraceError as error:
        return error.reason
    return ""


def separate(steps: Steps, team: Team, images: Any, graph: Path) -> None:
    """Who may call may not push; who has a model of its own sees no other."""
    with team.client("web") as web:
        answer = web.infer(MODEL, {"image": images[:3]})
        steps.check(f"web infers: {answer.outputs['label'].tolist()}", held=True)
        refused = reason_of(lambda: web.push(MODEL, graph))
        steps.check(f"web is refused to push: {refused}", held=refused == "PERMISSION_DENIED")
    with team.client("team") as client:
        seen = [model.name for model in client.models()]
        steps.check(f"team sees {seen}", held=seen == [MODEL])
        reasons = {reason_of(partial(client.model, name)) for name in (HIDDEN, "no-such-model")}
        text = "a forbidden model and one that is not there are answered alike"
        steps.check(f"{text}: {reasons}", held=reasons == {"PERMISSION_DENIED"})


def rotate_and_revoke(steps: Steps, team: Team, image: Any) -> None:
    """A new certificate and a revoked key, while others call."""
    with Load(team, "web", image) as load, Load(team, "leaver", image) as leaving:
        time.sleep(STEADY_SECONDS)
        team.run("certs", "renew", f"--folder={team.pki}")
        print("   the certificate is another; calls go on", flush=True)
        time.sleep(STEADY_SECONDS)
        before = len(leaving.failures)
        [key] = json.loads(team.run("keys", "list", "leaver", "--json", who="admin"))["keys"]
        revoked = time.monotonic()
        team.run("keys", "revoke", key["id"], who="admin", reason="left the team")
        time.sleep(STEADY_SECONDS)
    failed = len(load.failures) + before
    steps.check(f"{load.answers} calls were allowed, {failed} of them failed", held=not failed)
    told = {error.reason for _, error in leaving.failures}
    first = min((at for at, _ in leaving.failures), default=0.0) - revoked
    steps.check(
        f"the revoked key is refused {first:.2f} s after its revocation began: {told}",
        held=told == {"API_KEY_INVALID"},
    )


def bring_tokens(steps: Steps, team: Team, issuer: Issuer, image: Any) -> None:
    """JWTs of an issuer that the identity file pins."""
    team.run("grant", "corp:ada", "caller", f"--models={MODEL}", who="admin", reason="new here")
    for who, token, wanted in (
        ("ada", issuer.token("ada"), ""),
        ("ada for another service", issuer.token("ada", audience="other"), "TOKEN_INVALID"),
        ("ada, an hour late", issuer.token("ada", seconds=-3600), "TOKEN_EXPIRED"),
        ("bob, who has no grant", issuer.token("bob"), "PERMISSION_DENIED"),
    ):
        file = team.key_of("token")
        file.touch(0o600)
        file.write_text(token)
        with team.client("token") as client:
            found = reason_of(partial(client.infer, MODEL, {"image": image}))
        steps.check(f"{who}: {found or 'is answered'}", held=found == wanted)


def tour(steps: Steps, team: Team, issuer: Issuer) -> None:
    """All of it, with the suite up."""
    graph, images = team.work / "v1" / "model.onnx", np.load(team.work / "heldout_images.npy")
    steps.next("As the admin: push two models, give keys to a program, a team and a leaver")
    with team.client("admin") as admin:
        for model in (MODEL, HIDDEN):
            version = admin.push(model, graph, timeout_seconds=60)
            admin.wait_until_ready(model, version.number, timeout_seconds=60)
    team.give_key("web", "caller", MODEL)
    team.give_key("team", "owner", MODEL)
    team.give_key("leaver", "caller", MODEL)
    steps.next("Each may do what was granted, and nothing else")
    separate(steps, team, images, graph)
    steps.next("Rotate the certificate and revoke a key while others call")
    rotate_and_revoke(steps, team, images[:1])
    steps.next("Tokens of an issuer of one's own")
    bring_tokens(steps, team, issuer, images[:1])
    steps.next("The audit: who changed what, how that was proved, and why; and its proof")
    changes = team.run("audit", "--limit=8", who="admin")
    print(changes, flush=True)
    steps.check("the reasons are in it", held="left the team" in changes)
    print(team.run("audit", "--verify", who="admin"), flush=True)


def main() -> int:
    """Run the demonstration; the exit status says whether all of it held."""
    steps = Steps()
    with tempfile.TemporaryDirectory(prefix="headrace-secure-") as folder:
        team = Team(Path(folder))
        steps.next(
            "Train a classifier of handwritten digits; make a private authority and an issuer"
        )
        script = EXAMPLES / "digits" / "train.py"
        train = [sys.executable, str(script), folder, "--only=v1"]
        subprocess.run(train, check=True, stdout=subprocess.DEVNULL)
        print(team.run("certs", "create", f"--folder={team.pki}"), flush=True)
        issuer = Issuer(team.work)
        steps.next("Start the suite: authentication, TLS, two replicas behind a gateway")
        with running_suite(team, issuer) as suite:
            team.gateway = suite["gateway"]
            print(f"   one address for all: {team.gateway}")
            tour(steps, team, issuer)
            steps.next("Stop everything")
    print("\nAll of it held." if not steps.failed else f"\nDid not hold: {steps.failed}")
    return 1 if steps.failed else 0


if __name__ == "__main__":
    sys.exit(main())
