"""A tab with the console: what tests do with it again and again, and what must never happen in it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, ConsoleMessage, Locator, Page, expect

from tests.e2e.running_server import ACCOUNT_KEY

#: Longest wait for anything; the machine may be loaded.
PATIENCE_MS: Final = 20_000
_EXPECTED: Final = (
    "Failed to load resource",
    "Applying inline style violates",
    "Refused to apply inline style",
)
#: Collects what the policy of the page refused.
_WATCH: Final = """
window.refusedByPolicy = [];
document.addEventListener("securitypolicyviolation", (event) => window.refusedByPolicy.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`));
"""


class ConsolePage:
    """One tab, signed in or not."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.faults: list[str] = []
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", self._note)

    def _note(self, message: ConsoleMessage) -> None:
        # The policy of the page has a list of its own. A browser reports every answer from 400 on, also those
        # that the page expects.
        if message.type == "error" and not message.text.startswith(_EXPECTED):
            self.faults.append(message.text)

    async def visit(self, place: str = "") -> None:
        """Open a view."""
        await self.page.goto(f"{self.url}/console#/{place}")

    async def sign_in(self, place: str = "", key: str = ACCOUNT_KEY) -> None:
        """Open a view with a key."""
        await self.visit(place)
        await self.field("API key").fill(key)
        await self.press("Sign in")
        await expect(self.page.get_by_role("navigation", name="Views")).to_be_visible()

    def field(self, label: str) -> Locator:
        return self.page.get_by_label(label, exact=True)

    async def press(self, name: str) -> None:
        await self.page.get_by_role("button", name=name, exact=True).first.click()

    async def submit(self) -> None:
        """Send the form."""
        await self.page.locator("button[type=submit]").click()

    async def see(self, text: str) -> None:
        await expect(self.page.get_by_text(text).first).to_be_visible()

    async def heading(self, text: str) -> None:
        await expect(self.page.get_by_role("heading", level=1, name=text)).to_be_visible()

    async def choose(self, model: str, label: str = "Model") -> None:
        await self.field(label).select_option(model)

    async def audio(self, index: int = 0) -> dict[str, Any]:
        """What an audio element does: its time, length and source."""
        read = "(all, at) => { const {currentTime, duration, paused, src} = all[at]; return {currentTime, duration, paused, src}; }"
        return dict(await self.page.locator("audio").evaluate_all(read, index))

    async def hear(self, index: int = 0) -> dict[str, Any]:
        """Press play, and wait until time goes by in the audio; what the element does then."""
        await self.page.locator(".play").nth(index).click()
        await self.until_heard(index)
        return await self.audio(index)

    async def until_heard(self, index: int = 0, after_s: float = 0.2) -> None:
        element = self.page.locator("audio").nth(index)
        for _ in range(int(PATIENCE_MS / 50)):
            if await element.evaluate("element => element.currentTime") > after_s:
                return
            await self.page.wait_for_timeout(50)
        message = f"nothing is heard: {await self.audio(index)}"
        raise AssertionError(message)

    async def check(self) -> None:
        """Check what holds for every view: nothing broke, no policy was broken, and axe finds nothing."""
        refused = await self.page.evaluate("window.refusedByPolicy")
        assert refused == [], refused
        found = await Axe().run(self.page)
        assert found.violations_count == 0, found.generate_report()
        await self.page.evaluate("window.refusedByPolicy = []")  # axe adds a style of its own
        assert self.faults == []


@asynccontextmanager
async def console(browser: Browser, url: str, **context: Any) -> AsyncIterator[ConsolePage]:
    """A tab of a new profile."""
    options: Mapping[str, Any] = {"locale": "en-GB", "reduced_motion": "reduce", **context}
    opened = await browser.new_context(**options)
    opened.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    await opened.add_init_script(_WATCH)
    try:
        yield ConsolePage(await opened.new_page(), url)
    finally:
        await opened.close()
