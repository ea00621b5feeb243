"""Changelog entries in docs/changes/: well-formed, and placed correctly by a release."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "changes"
NOT_ENTRIES = {"README.md", "release.md.jinja"}
NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*\.(added|changed|fixed|removed)\.md")
MAX_LINE = 140


def faults(path: Path) -> list[str]:
    """The faults of an entry."""
    text = path.read_text(encoding="utf-8")
    found = []
    if not NAME.fullmatch(path.name):
        found.append("the name is not <slug>.<added|changed|fixed|removed>.md")
    if not text.strip():
        found.append("the text is empty")
    if re.match(r"\s*[-*+#]\s|\s*#", text):
        found.append("the text begins with a bullet or heading")
    if re.search(r"\n#+ ", text):
        found.append("the text has a heading")
    if not re.search(r"[.!`)]\n\Z", text):
        found.append("the text does not end with a sentence and one line break")
    if any(len(line) > MAX_LINE for line in text.splitlines()):
        found.append(f"a line is longer than {MAX_LINE} characters")
    links = re.findall(r"\]\(([^)\s#]+)[^)]*\)", text)
    return [
        *found,
        *(
            f"no {link} in the repository"
            for link in links
            if "://" not in link and not (ROOT / link).exists()
        ),
    ]


def towncrier(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "towncrier", "build", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=30)  # noqa: S603 - our own command


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with this repository's settings, changelog and template, and no entries."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copy(ROOT / "CHANGELOG.md", tmp_path)
    (tmp_path / "docs" / "changes").mkdir(parents=True)
    for name in NOT_ENTRIES:
        shutil.copy(FOLDER / name, tmp_path / "docs" / "changes")
    return tmp_path


def test_every_entry_is_well_formed() -> None:
    found = {path.name: faults(path) for path in FOLDER.iterdir() if path.name not in NOT_ENTRIES}
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def test_towncrier_accepts_every_entry() -> None:
    done = towncrier(ROOT, "--draft", "--version", "9.9.9")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "text", "wrong"),
    [
        ("gzip-bodies.added.md", "Bodies may be compressed, see [HTTP](docs/http.md#http).\n", []),
        ("gzip.fixed.md", "Two lines\nof one sentence.\n", []),
        ("gzip.feature.md", "Text.\n", ["the name is not <slug>.<added|changed|fixed|removed>.md"]),
        ("Gzip_Bodies.added.md", "Text.\n", ["the name is not <slug>.<added|changed|fixed|removed>.md"]),
        ("gzip.added.txt", "Text.\n", ["the name is not <slug>.<added|changed|fixed|removed>.md"]),
        ("gzip.md", "Text.\n", ["the name is not <slug>.<added|changed|fixed|removed>.md"]),
        ("gzip.added.md", "- Text.\n", ["the text begins with a bullet or heading"]),
        ("gzip.added.md", "# Text.\n", ["the text begins with a bullet or heading"]),
        ("gzip.added.md", "One.\n\n## Two.\n", ["the text has a heading"]),
        ("gzip.added.md", "no end", ["the text does not end with a sentence and one line break"]),
        ("gzip.added.md", "See [it](docs/nowhere.md).\n", ["no docs/nowhere.md in the repository"]),
        ("gzip.added.md", "x" * 140 + ".\n", ["a line is longer than 140 characters"]),
    ],
)
def test_faults_of_a_malformed_entry_are_found(
    tmp_path: Path, name: str, text: str, wrong: list[str]
) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    assert faults(path) == wrong


def test_an_empty_entry_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "gzip.added.md"
    path.touch()
    assert "the text is empty" in faults(path)


@pytest.mark.parametrize("name", ["gzip.feature.md", "gzip.md", "Gzip.added.md"])
def test_towncrier_refuses_a_misnamed_entry(project: Path, name: str) -> None:
    (project / "docs" / "changes" / name).write_text("Text.\n", encoding="utf-8")
    done = towncrier(project, "--draft", "--version", "9.9.9")
    assert done.returncode != 0
    assert name.removesuffix(".added.md") in done.stderr


def test_a_release_becomes_the_newest_section_of_the_changelog(project: Path) -> None:
    folder = project / "docs" / "changes"
    (folder / "b.added.md").write_text("Bodies may\nbe compressed.\n", encoding="utf-8")
    (folder / "a.added.md").write_text("Audio may be resumed.\n", encoding="utf-8")
    (folder / "c.removed.md").write_text("Format `xyz` is gone.\n", encoding="utf-8")
    before = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    done = towncrier(project, "--yes", "--version", "9.9.9", "--date", "2030-01-02")
    assert done.returncode == 0, done.stderr
    after = (project / "CHANGELOG.md").read_text(encoding="utf-8")
    section = """\
## 9.9.9 (2030-01-02)

### Added

- Audio may be resumed.
- Bodies may
  be compressed.

### Removed

- Format `xyz` is gone.

"""
    start = before.index("\n## ") + 1
    assert after == before[:start] + section + before[start:]
    assert {path.name for path in folder.iterdir()} == NOT_ENTRIES


def test_settings_of_towncrier_have_the_types_that_these_tests_expect() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["towncrier"]
    assert [kind["directory"] for kind in settings["type"]] == ["added", "changed", "fixed", "removed"]
    assert (ROOT / settings["directory"], ROOT / settings["filename"]) == (FOLDER, ROOT / "CHANGELOG.md")
