"""Builds distributions, and clean virtual environments to install them into, without a network.

What workers can share is made once per test run, under a lock. Dependencies come from the wheelhouse that
``make setup-dev`` fills.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
from filelock import FileLock

ROOT = Path(__file__).resolve().parents[2]
WHEELHOUSE = Path(sys.prefix) / "wheelhouse"
#: Distribution -> its folder.
DISTRIBUTIONS = {
    "musicgate": ".",
    "musicgate-schemas": "schemas",
    "musicgate-acestep": "plugins/acestep",
    "musicgate-apiin-one": "plugins/apiin_one",
    "musicgate-elevenlabs": "plugins/elevenlabs",
    "musicgate-fal": "plugins/fal",
    "musicgate-minimax": "plugins/minimax",
    "musicgate-suno-kie": "plugins/suno_kie",
    "musicgate-harmonia": "examples/plugins/harmonia",
    "musicgate-job-ledger": "examples/plugins/job_ledger",
    "musicgate-prompt-policy": "examples/plugins/prompt_policy",
}
#: How much faster than real time the emulators run.
SPEED = 100
#: Longest wait for a song or the end of a server, in seconds.
TIMEOUT_S = 30.0


def shared(folder: Path, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that is made once per test run.

    Args:
        folder: where all workers of the run keep what they share.
        make: fills the folder; it is called by one worker while the others wait.
    """
    made = folder / name
    with FileLock(f"{made}.lock"):
        done = made / ".done"
        if not done.exists():
            made.mkdir()
            make(made)
            done.touch()
    return made


def build(source: Path, to: Path, *, only_wheel: bool = False) -> None:
    """Build a distribution with the build tool of this environment, so that nothing is fetched."""
    kind = ["-t", "wheel"] if only_wheel else []
    run([sys.executable, "-m", "hatchling", "build", "-d", str(to), *kind], cwd=source)


def run(
    command: list[str | Path], cwd: Path, exit_codes: tuple[int, ...] = (0,)
) -> subprocess.CompletedProcess[str]:
    """Run a command without the developer's environment and without an index."""
    done = subprocess.run(  # noqa: S603 - our own commands
        command, cwd=cwd, env=bare_environment(cwd), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode in exit_codes, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def stop(process: subprocess.Popen[str]) -> None:
    """Stop a process with SIGTERM, and kill it if it does not end."""
    process.send_signal(signal.SIGTERM)
    try:
        process.communicate(timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


def bare_environment(home: Path) -> dict[str, str]:
    """The environment variables of a new user; pip's settings, which may name an index, are ignored."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INDEX": "1",
    }


@attrs.frozen
class Answer:
    """An HTTP answer of a server under test."""

    status: int
    raw: bytes

    @property
    def body(self) -> dict[str, Any]:
        """The JSON object in it."""
        return dict(json.loads(self.raw))


@attrs.frozen
class Server:
    """A running ``musicgate sandbox``. ``log`` is the file that its standard error goes to."""

    port: int
    log: Path

    def call(self, method: str, path: str, body: object = None) -> Answer:
        """Make a request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S)
        try:
            sent = None if body is None else json.dumps(body)
            connection.request(method, path, sent, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return Answer(answer.status, answer.read())
        finally:
            connection.close()

    def generate(self, **request: object) -> dict[str, Any]:
        """Create a song and poll until its job is final."""
        created = self.call("POST", "/v1/music/generate", request)
        assert created.status == 200, created.raw
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            job = self.call("GET", f"/v1/music/generate/{created.body['id']}").body
            if job["status"] in {"completed", "failed"}:
                return job
            time.sleep(0.05)
        raise TimeoutError(created.body["id"])

    def audio(self, job: Mapping[str, Any]) -> bytes:
        """Download the first track."""
        answer = self.call("GET", f"/v1/music/generate/{job['id']}/audio/0")
        assert answer.status == 200, answer.raw
        return answer.raw


@attrs.frozen
class CleanEnvironment:
    """A virtual environment with nothing in it, not even pip: `install` works from outside."""

    folder: Path
    wheels: Path

    @classmethod
    def make(cls, folder: Path, wheels: Path) -> CleanEnvironment:
        """Make an environment in a new folder.

        Args:
            wheels: the folder that holds the distributions of this repository.
        """
        assert WHEELHOUSE.is_dir(), f"{WHEELHOUSE} is not there; `make setup-dev` fills it"
        folder.mkdir()
        run([sys.executable, "-m", "venv", "--without-pip", folder / "env"], cwd=folder)
        return cls(folder, wheels)

    def install(self, *names: str) -> None:
        """Install distributions and their dependencies from the two folders only."""
        self._pip("install", "--no-compile", "-f", WHEELHOUSE, "-f", self.wheels, *names)

    def uninstall(self, *names: str) -> None:
        """Uninstall distributions."""
        self._pip("uninstall", "--yes", *names)

    def python(self, code: str) -> str:
        """Run Python code in the environment; what it prints."""
        return run([self._bin("python"), "-c", code], cwd=self.folder).stdout.strip()

    def musicgate(self, *arguments: str, exit_codes: tuple[int, ...] = (0,)) -> str:
        """Run the installed command; what it prints."""
        return run([self._bin("musicgate"), *arguments], cwd=self.folder, exit_codes=exit_codes).stdout

    def plugins(self, exit_code: int = 0) -> list[dict[str, Any]]:
        """The records of ``musicgate plugins --json``, without the time that loading took."""
        records = json.loads(self.musicgate("plugins", "--json", exit_codes=(exit_code,)))["data"]
        assert all(record.pop("load_ms") >= 0 for record in records)
        return list(records)

    def first_model(self, plugin: str) -> str:
        """A model that a plugin offers."""
        models = json.loads(self.musicgate("models", "--json"))["data"]
        offers = [(offer["provider_plugin"], model["id"]) for model in models for offer in model["offers"]]
        return str(next(model for name, model in offers if name == plugin))

    @contextmanager
    def serving(self, log: str = "server.log") -> Iterator[Server]:
        """Run the server with an emulator of every installed vendor; jobs and audio stay in the folder."""
        arguments = ["sandbox", "--port", "0", "--speed", str(SPEED), "--data", "data"]
        with (self.folder / log).open("w") as errors:
            process = subprocess.Popen(  # noqa: S603 - the command under test
                [self._bin("musicgate"), *arguments],
                cwd=self.folder,
                env=bare_environment(self.folder),
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
            try:
                assert process.stdout is not None
                first = process.stdout.readline()
                found = re.search(r"listens on http://127\.0\.0\.1:(\d+)", first)
                assert found, f"{first}{(self.folder / log).read_text()}"
                yield Server(int(found[1]), self.folder / log)
            finally:
                stop(process)
        assert process.returncode == 0, (self.folder / log).read_text()

    def _pip(self, *arguments: str | Path) -> None:
        run([sys.executable, "-m", "pip", "--python", self._bin("python"), *arguments], cwd=self.folder)

    def _bin(self, name: str) -> str:
        return str(self.folder / "env" / "bin" / name)
