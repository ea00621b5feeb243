"""Runs the command line in this process.

An interpreter of its own needs half a second of CPU before a command begins.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from unittest import mock

import attrs
from click.testing import CliRunner

from musicgate.cli import PROGRAM, cli


@attrs.frozen
class Done:
    """How a run of the command line ended."""

    code: int | None
    out: bytes
    err: bytes


async def invoked(
    folder: Path, *arguments: str, env: Mapping[str, str] | None = None, encoding: str = "utf-8"
) -> Done:
    """Run a command in a folder, without the environment of this machine.

    The event loop of the test goes on meanwhile: the command may call a server of the test.

    Args:
        env: every variable there is, besides the data folder.
        encoding: of standard output and standard error.
    """
    variables = {
        "PATH": os.environ["PATH"],
        "MUSICGATE_DATA_DIR": str(folder / "data"),
        **(env or {}),
    }
    run = CliRunner(charset=encoding).invoke
    with contextlib.chdir(folder), mock.patch.dict(os.environ, variables, clear=True):
        done = await asyncio.to_thread(run, cli, arguments, prog_name=PROGRAM)
    if not isinstance(done.exception, SystemExit | None):
        raise done.exception
    return Done(done.exit_code, done.stdout_bytes, done.stderr_bytes)
