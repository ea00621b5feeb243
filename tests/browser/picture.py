"""Make the picture of the README from a running server: `python -m tests.browser.picture`."""

from __future__ import annotations

import asyncio
import base64
import tempfile
from pathlib import Path
from typing import Final

from playwright.async_api import expect

from musicgate.hosting.discovery import load_plugins
from tests.browser.browsers import chromium
from tests.browser.console_page import console
from tests.e2e.running_server import running_server

PICTURE: Final = Path(__file__).resolve().parents[2] / "docs" / "console.webp"
_SIZE: Final = {"width": 1200, "height": 790}
_QUALITY: Final = 80
_PROMPT: Final = "Warm jazz trio with brushed drums"


async def take() -> None:
    """Compare two vendors, begin to play one, and take the picture."""
    switches = {"suno_kie": {"song_s": "128,131"}, "elevenlabs": {}}
    with tempfile.TemporaryDirectory() as folder:
        async with (
            chromium() as browser,
            running_server(
                Path(folder), load_plugins(), accounts=(), switches=switches, speed=20.0
            ) as server,
            console(browser, server.url, viewport=_SIZE, device_scale_factor=1.5) as tab,
        ):
            await tab.visit("compare")
            await tab.choose("suno/v5", "Model A")
            await tab.choose("elevenlabs/music", "Model B")
            await tab.field("Prompt").fill(_PROMPT)
            await tab.page.get_by_text("Duration, Format").click()
            await tab.field("Duration").fill("120")
            await tab.submit()
            await expect(tab.page.locator(".halves .status.completed")).to_have_count(2)
            await expect(tab.page.locator(".waveform > div")).to_have_count(3)
            await tab.hear()
            await tab.page.locator("audio").first.evaluate("element => { element.currentTime = 41 }")
            await tab.until_heard(after_s=41.1)
            await tab.page.evaluate("document.activeElement.blur()")
            session = await tab.page.context.new_cdp_session(tab.page)
            taken = await session.send("Page.captureScreenshot", {"format": "webp", "quality": _QUALITY})
            PICTURE.write_bytes(base64.b64decode(taken["data"]))


if __name__ == "__main__":
    asyncio.run(take())
