"""Which browser is taken, and what is said where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser import browsers
from tests.browser.missing import HOW, NAMED


def program(folder: Path, name: str) -> str:
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return str(path)


def test_the_named_browser_is_taken_before_an_installed_and_a_managed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browsers, "_NAMED_PATH", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError) as caught:
        browsers.find_browser(str(tmp_path / "managed"))
    assert str(caught.value) == HOW
    managed = program(tmp_path, "managed")
    assert browsers.find_browser(managed) == managed
    installed = program(tmp_path, "chromium")
    assert browsers.find_browser(managed) == installed
    monkeypatch.setattr(browsers, "_NAMED_PATH", managed)
    assert browsers.find_browser("") == managed
    monkeypatch.setattr(browsers, "_NAMED_PATH", "/nothing/here")
    with pytest.raises(FileNotFoundError, match=NAMED):
        browsers.find_browser(managed)
