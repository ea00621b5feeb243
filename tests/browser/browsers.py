"""Finds a Chromium for the tests of the console."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import Browser, async_playwright

from tests.browser.missing import HOW, NAMED

#: Read before `conftest` hides it from the settings, which know no such variable.
_NAMED_PATH: Final = os.environ.get(NAMED)
_PROGRAMS: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find_browser(managed: str) -> str:
    """The browser that is named, else one that is installed, else Playwright's own at this path.

    Raises:
        FileNotFoundError: there is none, or not the one that is named.
    """
    if _NAMED_PATH:
        found = shutil.which(_NAMED_PATH)
        if found is None:
            message = f"{NAMED} names {_NAMED_PATH}, which is no program"
            raise FileNotFoundError(message)
        return found
    for name in _PROGRAMS:
        found = shutil.which(name)
        if found is not None:
            return found
    if Path(managed).exists():
        return managed
    raise FileNotFoundError(HOW)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A headless browser; without one, the test is skipped."""
    async with async_playwright() as playwright:
        try:
            path = find_browser(playwright.chromium.executable_path)
        except FileNotFoundError as error:
            if _NAMED_PATH:
                raise
            pytest.skip(str(error))
        is_root = hasattr(os, "geteuid") and os.geteuid() == 0
        arguments = ["--autoplay-policy=no-user-gesture-required", *(["--no-sandbox"] if is_root else [])]
        browser = await playwright.chromium.launch(executable_path=path, args=arguments)
        try:
            yield browser
        finally:
            await browser.close()
