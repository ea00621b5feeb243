"""docs/add-a-provider.md can be followed: its commands print what it says, its code runs, the files that it names are there."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.pages import ROOT, Block, blocks_of, prose

PAGE = ROOT / "docs" / "add-a-provider.md"
BLOCKS = list(blocks_of(PAGE))


@pytest.fixture(scope="module")
def drafted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder where the tutorial's first command was called, and what it printed."""
    folder = tmp_path_factory.mktemp("drafts")
    words = BLOCKS[0].code.split()
    assert words[:3] == ["musicgate", "plugins", "new"]
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", *words], cwd=folder, capture_output=True, check=False, encoding="utf-8"
    )
    assert (done.returncode, done.stderr) == (0, "")
    return folder, done.stdout


def test_first_command_prints_what_the_page_says(drafted: tuple[Path, str]) -> None:
    assert BLOCKS[1].kind == "text"
    assert drafted[1] == BLOCKS[1].code


def test_files_of_the_table_are_all_files_with_code_of_the_draft(drafted: tuple[Path, str]) -> None:
    draft = drafted[0] / "musicgate-acme"
    rows = [line for line in prose(PAGE).splitlines() if line.startswith(("| `src/", "| `tests/"))]
    named = {name for row in rows for name in re.findall(r"`((?:src|tests)/[^`]+)`", row)}
    written = {path.relative_to(draft).as_posix() for path in (draft / "src").rglob("*.py")}
    assert named == written | {"tests/cases/"}
    assert (draft / "tests" / "cases").is_dir()


def test_draft_marks_what_is_to_be_replaced(drafted: tuple[Path, str]) -> None:
    files = [path for path in (drafted[0] / "musicgate-acme").rglob("*") if path.is_file()]
    assert sum("EXAMPLE" in path.read_text(encoding="utf-8") for path in files) > 5


@pytest.mark.parametrize(
    "block", [block for block in BLOCKS if block.kind == "python"], ids=lambda block: str(block.line)
)
def test_python_of_the_tutorial_runs(block: Block) -> None:
    names: dict[str, Any] = {}
    exec(compile(block.code, f"{block.page}:{block.line}", "exec"), names)  # noqa: S102 - the page is ours
    assert names
