"""``musicgate emulate``: one vendor alone, for people who test a client of it."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys

import aiohttp
import pytest
from click.testing import CliRunner

from musicgate.cli import cli


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli, ["emulate", *arguments])
    return result.exit_code, result.output


def test_list_shows_every_route_and_switch() -> None:
    code, shown = run("suno_kie", "--list", "--switch", "create=429:2")
    assert code == 0
    for line in (
        "  POST /api/v1/generate",
        "  GET /media/...",
        "  create=429:2: the answer to a create call",
        "  poll: the answer to a poll",
        "  callback_shape: shape of the callbacks",
        "      no_id: accepted, and data has no id",
    ):
        assert line in shown.splitlines()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("suno_kie", "--switch", "gibberish=1"), 3, "gibberish: no such switch; there are create, poll"),
        (("suno_kie", "--switch", "create=gibberish"), 3, "create: 'gibberish' is not a script of a number"),
        (("gibberish",), 2, "no provider plugin 'gibberish' is installed; there are: acestep"),
        (("suno_kie", "--speed", "0"), 2, "--speed"),
        (("suno_kie", "--host", "192.0.2.1"), 1, "bind on address ('192.0.2.1', 0)"),
    ],
)
def test_unknown_vendor_switch_or_value_ends_with_what_there_is(
    arguments: tuple[str, ...], code: int, message: str
) -> None:
    ended, shown = run(*arguments)
    assert ended == code
    assert message in shown


async def test_vendor_is_served_with_the_given_key_until_it_is_stopped() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "musicgate", "emulate", "suno_kie", "--key", "my-key", "--speed", "100"),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    async with asyncio.timeout(15):
        first = (await process.stdout.readline()).decode()
        second = (await process.stdout.readline()).decode()
        found = re.search(r"http://127\.0\.0\.1:\d+", first)
        assert found is not None
        assert second == "key: Authorization: Bearer my-key\n"
        codes = {}
        async with aiohttp.ClientSession(found[0]) as session:
            for key in ("my-key", "another"):
                headers = {"Authorization": f"Bearer {key}"}
                async with session.get("/api/v1/chat/credit", headers=headers) as answer:
                    codes[key] = (await answer.json())["code"]
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    assert codes == {"my-key": 200, "another": 401}
