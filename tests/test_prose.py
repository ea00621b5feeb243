"""Docstrings are short in their first line, and one thing has one name everywhere."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MAX_SUMMARY_CHARS = 100

#: Names that a thing has beside its term in docs/glossary.md. This file and recorded bodies are left out.
OTHER_NAMES = re.compile(
    r"\b(?:wish(?:e[sd])?|twins?|whoever|somebody|nobody|everybody|furnish(?:e[sd])?|crowds?|purse)\b"
    r"|\b(?:take up|takes up|taken up|took up) (?:the |an? |open |unfinished )?jobs?\b",
    re.IGNORECASE,
)
#: Recorded bodies, binary files, locks, files of others, and the history of names.
_LEFT_OUT = re.compile(
    r"cases/|docs/changes/|CHANGELOG|published_v1|package-lock|\.mp3$|\.opus$|\.jpg$|\.sql$|\.ci/requirements"
    r"|swagger_ui/swagger-ui|console/(licenses|static/vendor)/"
)


def long_summaries(source: str) -> list[str]:
    """First lines of docstrings that have too many characters."""
    nodes = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found = [
        (ast.get_docstring(node) or "").partition("\n")[0]
        for node in ast.walk(ast.parse(source))
        if isinstance(node, nodes)
    ]
    return [summary for summary in found if len(summary) > MAX_SUMMARY_CHARS]


def tracked(pattern: str = "*") -> Iterator[tuple[str, str]]:
    """Path and text of tracked files."""
    listing = subprocess.run(  # noqa: S603 - git is found where the developer has it
        ["git", "ls-files", "-z", pattern],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listing.stdout.decode().split("\0")):
        path = ROOT / name
        if path.is_file() and not _LEFT_OUT.search(name) and path != Path(__file__):
            yield name, path.read_text(encoding="utf-8", errors="replace")


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ('"""' + "a" * 100 + '"""', 0),
        ('"""' + "a" * 101 + '"""', 1),
        ('def f():\n    """Short.\n\n    ' + "a" * 101 + '\n    """', 0),
    ],
)
def test_the_check_sees_long_first_lines(source: str, count: int) -> None:
    assert len(long_summaries(source)) == count


@pytest.mark.parametrize("text", ["a Wish", "twins of a key", "Whoever asks", "take up unfinished jobs"])
def test_the_search_sees_other_names(text: str) -> None:
    assert OTHER_NAMES.search(text)


def test_the_first_line_of_every_docstring_is_short() -> None:
    found = {name: long_summaries(text) for name, text in tracked("*.py")}
    assert len(found) > 300
    assert {name: summaries for name, summaries in found.items() if summaries} == {}


def test_one_thing_has_one_name() -> None:
    found = {name: OTHER_NAMES.findall(text) for name, text in tracked()}
    assert {name: words for name, words in found.items() if words} == {}
