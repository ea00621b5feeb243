"""What the console is made of; tests/browser uses it."""

from __future__ import annotations

import gzip
import re
from typing import TYPE_CHECKING

import pytest

from musicgate.web.console import FILES

if TYPE_CHECKING:
    from tests.e2e.running_server import RunningServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

MOST_BYTES = 120_000


async def test_the_page_and_its_files_are_small_and_have_no_inline_script(server: RunningServer) -> None:
    page = await server.call("GET", "/console", key=None)
    text = page.raw.decode()
    named = re.findall(r"<(?:script|link)[^>]*(?:src|href)=\"([^\"]*)\"", text)
    assert set(named) == {f"console/{path}" for path in FILES}
    assert re.search(r"<style|<script[^>]*>[^<]|style=| on\w+=", text) is None
    policy = page.headers["Content-Security-Policy"]
    nonce = re.search(r'name="style-nonce" content="([^"]+)"', text)
    assert nonce is not None
    assert f"script-src 'self'; style-src 'self' 'nonce-{nonce[1]}';" in policy
    assert "unsafe" not in policy
    assert policy != (await server.call("GET", "/console", key=None)).headers["Content-Security-Policy"]
    size_bytes = len(gzip.compress(page.raw))
    for path, media_type in FILES.items():
        plain = await server.call("GET", f"/console/{path}", headers={"Accept-Encoding": "identity"})
        assert plain.headers["Content-Type"].startswith(media_type)
        tag = {"If-None-Match": plain.headers["ETag"], "Accept-Encoding": "identity"}
        assert (await server.call("GET", f"/console/{path}", headers=tag)).status == 304
        size_bytes += len(gzip.compress(plain.raw))
    assert size_bytes < MOST_BYTES


async def test_imports_of_modules_lead_to_files_of_the_page(server: RunningServer) -> None:
    for path in FILES:
        if not path.endswith(".js"):
            continue
        text = (await server.call("GET", f"/console/{path}")).raw.decode()
        for found in re.findall(r"(?:from|import) ?\"([^\"]+)\"", text):
            assert found.startswith((".", "..")), (path, found)
            folder = path.rpartition("/")[0]
            parts = [part for part in f"{folder}/{found}".split("/") if part not in {"", "."}]
            while ".." in parts:
                at = parts.index("..")
                del parts[at - 1 : at + 1]
            assert "/".join(parts) in FILES, (path, found)


@pytest.mark.parametrize(
    "path", ["index.html", "../routes.py", "%2e%2e/routes.py", "vendor", "vendored.json"]
)
async def test_other_files_are_not_served(server: RunningServer, path: str) -> None:
    assert (await server.call("GET", f"/console/{path}")).status == 404
