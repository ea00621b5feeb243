"""What is said where there is no browser; `tests/conftest.py` imports it, so it needs no Playwright."""

from typing import Final

#: The path of a Chromium or Chrome.
NAMED: Final = "MUSICGATE_TEST_BROWSER"
#: Why the tests were skipped, and the last lines of `make test`.
HOW: Final = (
    "no browser: the console was not tested. Install chromium (apt-get install chromium), or run "
    f".venv/bin/playwright install chromium, or set {NAMED} to the path of a Chromium or Chrome"
)
