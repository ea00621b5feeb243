"""The tutorial docs/add-a-provider.md: its commands work as described, its code runs, its files exist."""

import json
import os
import re
import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from musicgate.assets.audio import AudioKind, sniff
from schemas.tests.judge import Verdict, started_ajv
from tests.pages import ROOT, Block, blocks_of, prose

PAGE = ROOT / "docs" / "add-a-provider.md"
BLOCKS = list(blocks_of(PAGE))
#: The command that writes the draft, and what the page shows of its output.
DRAFTING, SHOWN = next(
    pair for pair in pairwise(BLOCKS) if pair[0].code.startswith("musicgate plugins new acme")
)


def called(words: list[str], folder: Path, path: str = "") -> str:
    """Run a command of the page and return its output."""
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        check=False,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def drafted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder in which the tutorial's first command ran, and its output."""
    folder = tmp_path_factory.mktemp("drafts")
    words = shlex.split(DRAFTING.code)
    return folder, called(words, folder)


@pytest.fixture(scope="module")
def installed(drafted: tuple[Path, str]) -> tuple[Path, str]:
    """The draft, and a PYTHONPATH that makes it look installed; tests/outside installs real wheels."""
    draft = drafted[0] / "musicgate-acme"
    facts = drafted[0] / "musicgate_acme-0.1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: musicgate-acme\nVersion: 0.1.0\n", "utf-8")
    (facts / "entry_points.txt").write_text("[musicgate]\nacme = musicgate_acme\n", "utf-8")
    return draft, os.pathsep.join([str(drafted[0]), str(draft / "src")])


def test_first_command_prints_what_the_page_shows(drafted: tuple[Path, str]) -> None:
    assert SHOWN.kind == "text"
    assert drafted[1] == SHOWN.code


def test_table_of_files_lists_every_module_of_the_draft(drafted: tuple[Path, str]) -> None:
    draft = drafted[0] / "musicgate-acme"
    rows = [line for line in prose(PAGE).splitlines() if line.startswith(("| `src/", "| `tests/"))]
    named = {name for row in rows for name in re.findall(r"`((?:src|tests)/[^`]+)`", row)}
    written = {path.relative_to(draft).as_posix() for path in (draft / "src").rglob("*.py")}
    assert named == written | {"tests/cases/"}
    assert (draft / "tests" / "cases").is_dir()


def test_draft_marks_invented_facts_as_examples(drafted: tuple[Path, str]) -> None:
    modules = (drafted[0] / "musicgate-acme" / "src").rglob("*.py")
    marks = {path.name: path.read_text(encoding="utf-8").count("EXAMPLE") for path in modules}
    assert marks == {"__init__.py": 6, "emulation.py": 1}


@pytest.mark.parametrize(
    "block", [block for block in BLOCKS if block.kind == "python"], ids=lambda block: str(block.line)
)
def test_python_blocks_of_the_tutorial_run(block: Block) -> None:
    names: dict[str, Any] = {}
    exec(compile(block.code, f"{block.page}:{block.line}", "exec"), names)  # noqa: S102 - the page is ours
    assert names


def commands_of_the_draft() -> dict[str, list[str]]:
    """The commands of the block after "Install the draft", by their first words."""
    block = next(block for block in BLOCKS if block.kind == "sh" and "-e '.[test]'" in block.code)
    lines = [shlex.split(line, comments=True) for line in block.code.splitlines()]
    return {" ".join(words[:3]): words for words in lines if words[:1] == ["musicgate"]}


def test_draft_is_found_and_passes_the_kit(installed: tuple[Path, str]) -> None:
    commands = commands_of_the_draft()
    assert "musicgate-acme" in called(commands["musicgate plugins"], *installed)
    report = called(
        [*commands["musicgate plugins check"], "--cases", "tests/cases", "--failing", "end=failed"],
        *installed,
    )
    assert ", 0 failed, " in report


def test_draft_makes_a_song_in_the_sandbox(installed: tuple[Path, str]) -> None:
    called(commands_of_the_draft()["musicgate generate Warm jazz trio"], *installed)
    assert sniff((installed[0] / "song.mp3").read_bytes()) is AudioKind.MP3


def test_options_of_the_draft_are_part_of_the_composed_schema(installed: tuple[Path, str]) -> None:
    """Checked with Ajv, as a client in another language would."""
    schema = json.loads(called(["musicgate", "schema", "request", "--all"], *installed))
    with started_ajv() as ajv:
        assert ajv.ask(schema, {"model": "acme/small", "acme": {"creativity": 0.5}}) == Verdict()
        wrong = {
            "model": "acme/small",
            "acme": {"creativity": 2, "seconds": "odd"},
            "suno": {"customMode": 1},
        }
        refused = frozenset({"/acme/creativity", "/acme/seconds", "/suno/customMode"})
        assert ajv.ask(schema, wrong) == Verdict(refused)
