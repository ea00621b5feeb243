"""The page docs/first-steps.md: every command runs as it stands there, in order, in one folder."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from musicgate.assets.audio import sniff
from tests.free_port import free_port
from tests.pages import ROOT, blocks_of
from tests.test_cli_runs import Run, vendor

pytestmark = pytest.mark.timeout(120)

PAGE = ROOT / "docs" / "first-steps.md"
_NOT_RUN = "<!-- not run"
_PORT = "8080"


def programs(folder: Path) -> str:
    """A PATH in which ``musicgate`` and ``python`` are those of the tests."""
    folder.mkdir()
    for name, words in (("musicgate", f"{sys.executable} -m musicgate"), ("python", sys.executable)):
        script = folder / name
        script.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
        script.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


async def shell(folder: Path, script: str, env: dict[str, str]) -> str:
    """Run commands; what they printed."""
    process = await asyncio.create_subprocess_exec(
        *("sh", "-e", "-c", script),
        cwd=folder,
        # Without the user's home: what the page makes must not land in a real store.
        env={"PYTHONPATH": os.environ.get("PYTHONPATH", ""), "HOME": str(folder), **env},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await asyncio.wait_for(process.communicate(), 40)
    assert process.returncode == 0, f"{script}: {out.decode()}"
    return out.decode()


async def test_every_command_of_the_page_works(tmp_path: Path) -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    port = str(free_port())
    outputs: list[str] = []
    exports = ""
    server: Run | None = None
    folder = tmp_path / "team"
    folder.mkdir()
    async with vendor("suno_kie") as (emulator, given):
        env = {**given, "PATH": programs(tmp_path / "bin"), "MUSICGATE_DATA_DIR": str(tmp_path / "data")}
        del env["KIE_API_KEY"]  # the page sets it
        for block in blocks_of(PAGE):
            if lines[block.line - 2].startswith(_NOT_RUN):
                continue
            code = block.code.replace(_PORT, port)
            if code == "musicgate serve\n":
                server = await Run.start(
                    folder, "serve", "--port", port, env={**env, "KIE_API_KEY": "your-key"}
                )
                assert "admin" in await server.line_with("accounts: ", on="stdout")
            else:
                outputs.append(await shell(folder, exports + code, env))
                exports += "".join(f"{line}\n" for line in code.splitlines() if line.startswith("export "))
        assert server is not None
        server.process.terminate()
        await server.end()
        # The song of the sandbox cost nothing, and the plan sent nothing.
        assert len(emulator.books.creates) == 2
    assert (folder / "studio.key").read_text().startswith("mg_")
    for name in ("first.mp3", "second.mp3", "third.mp3"):
        assert sniff((folder / name).read_bytes()) is not None, name
    assert "$0.06" in outputs[1]
