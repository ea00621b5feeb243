"""Each scenario of the page "Where do I change ...?" is carried out on a copy of the sources."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import attrs
import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/where-to-change.md"
#: Files of the core that one change may touch; schemas, documentation and tests come on top.
MAX_FILES = 3


@attrs.frozen
class Edit:
    """A text that a file has once, and what comes before it after the change."""

    file: str
    anchor: str
    inserted: str


@attrs.frozen(kw_only=True)
class Scenario:
    """A change, carried out in a copy.

    Attributes:
        section: its heading on the page.
        check: a program that fails unless the change has its whole effect.
        generates_docs: the pages are generated before the check.
    """

    name: str
    section: str
    edits: Sequence[Edit]
    check: str
    generates_docs: bool = False


SCENARIOS = [
    Scenario(
        name="native status",
        section="A new native status of a vendor",
        edits=[
            Edit(
                "plugins/suno_kie/src/musicgate_suno_kie/declaration.py",
                '**dict.fromkeys(("SUCCESS",',
                '"MASTERING": mg.JobState.IN_PROGRESS,\n        ',
            )
        ],
        check="""
from musicgate import JobState, load_plugins

host = load_plugins()
assert host.providers["suno_kie"].map_status("mastering") is JobState.IN_PROGRESS, host.records
""",
    ),
    Scenario(
        name="answer field",
        section="A new field of the job answer",
        edits=[
            Edit(
                "musicgate/model/job.py",
                "\n    @property\n    def attempt(self)",
                "    mood: str | None = None\n",
            ),
            Edit(
                "musicgate/views/job.py",
                '        "native_status": job.native_status,\n',
                '        "mood": job.mood,\n',
            ),
        ],
        check="""
import attrs
from musicgate import codec, views
from tests.job_samples import make_job

job = make_job("music_1")
stored = codec.load_job(codec.dump_job(attrs.evolve(job, mood="calm")))
assert stored.mood == "calm", stored
assert views.render_job(stored, lambda *_: None)["mood"] == "calm"
assert codec.load_job(codec.dump_job(job)).mood is None, "a job that was stored before"
""",
    ),
    Scenario(
        name="failure class",
        section="A new error class",
        edits=[
            Edit("musicgate/model/failure.py", '    AUTH = "auth"\n', '    ON_STRIKE = "on_strike"\n'),
            Edit(
                "musicgate/model/failure.py",
                "        FailureClass.AUTH: FailureRule(",
                "        FailureClass.ON_STRIKE: FailureRule(http_status=503, is_there=True, try_next=True),\n",
            ),
        ],
        check="""
from pathlib import Path
from musicgate import Failure, FailureClass, ProviderError
from musicgate.web.errors import error_response

failure = Failure(reason=FailureClass.ON_STRIKE, message="the orchestra is on strike")
assert (failure.status, failure.rule.try_next, failure.rule.is_there, failure.costs) == (503, True, True, False)
response = error_response("G-1", ProviderError(failure))
assert response.status == 503 and b'"on_strike"' in response.body, response.body
assert "`on_strike`" in Path("docs/hooks.md").read_text()
""",
        generates_docs=True,
    ),
    Scenario(
        name="exception",
        section="A new error class",
        edits=[
            Edit(
                "musicgate/errors.py",
                "class StorageError(MusicgateError):",
                '''class TooQuietError(MusicgateError):
    """The song cannot be heard."""

    exit_code = 2
    code = "validation_error"
    http_status = 422

    @property
    def description(self) -> str:
        """The sentence."""
        return str(self)


''',
            ),
            Edit(
                "musicgate/__init__.pyi",
                "from .errors import UnauthorisedError",
                "from .errors import TooQuietError as TooQuietError\n",
            ),
        ],
        check="""
import musicgate
from musicgate.cli.error_text import as_click_error
from musicgate.web.errors import error_response

error = musicgate.TooQuietError("turn it up")
response = error_response("G-1", error)
assert response.status == 422, response.status
assert b'"validation_error"' in response.body and b"turn it up" in response.body, response.body
assert as_click_error(error).exit_code == 2
assert "turn it up" in as_click_error(error).message
""",
    ),
    Scenario(
        name="setting",
        section="A new setting",
        edits=[
            Edit(
                "musicgate/settings/values.py",
                "    drain_s: float = setting(\n",
                """    encore_s: float = setting(
        Number(at_least=0, at_most=60, unit="seconds"),
        default=5.0,
        doc="How long to wait for an encore.",
    )
""",
            )
        ],
        check="""
import os
from pathlib import Path
from musicgate import ConfigError, load_settings

os.environ["MUSICGATE_SERVER__ENCORE_S"] = "7"
assert load_settings().server.encore_s == 7.0
os.environ["MUSICGATE_SERVER__ENCORE_S"] = "61"
try:
    load_settings()
except ConfigError as error:
    assert "server.encore_s" in str(error) and "0 to 60 seconds" in str(error), error
else:
    raise AssertionError("61 is in range")
page = Path("docs/settings.md").read_text()
assert "encore_s" in page and "How long to wait for an encore." in page
""",
        generates_docs=True,
    ),
]


def text_below(heading: str) -> str:
    """The section of the page with that heading."""
    page = PAGE.read_text(encoding="utf-8")
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", page, re.DOTALL | re.MULTILINE)
    assert found, f"{PAGE.name} has no section {heading!r}"
    return found[1]


def copy_of_sources(folder: Path) -> Path:
    """The sources, the generated pages and what the checks import."""
    ignored = shutil.ignore_patterns("__pycache__", "node_modules", ".*")
    for name in ("musicgate", "docs", "plugins", "schemas/src", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    return folder


def run(folder: Path, *arguments: str) -> None:
    """Run Python on the copy instead of what is installed."""
    sources = [folder, folder / "schemas/src", *folder.glob("plugins/*/src")]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MUSICGATE_")}
    environ["PYTHONPATH"] = os.pathsep.join(map(str, sources))
    done = subprocess.run(  # noqa: S603 - our own interpreter and programs
        [sys.executable, *arguments], cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_scenario_works_with_the_files_that_the_page_lists(scenario: Scenario, tmp_path: Path) -> None:
    folder, listed = copy_of_sources(tmp_path / "copy"), text_below(scenario.section)
    for edit in scenario.edits:
        assert f"`{edit.file}`" in listed, f"the section does not list {edit.file}"
        path = folder / edit.file
        text = path.read_text(encoding="utf-8")
        assert text.count(edit.anchor) == 1, (
            f"{edit.file} has {text.count(edit.anchor)} times {edit.anchor!r}"
        )
        path.write_text(text.replace(edit.anchor, edit.inserted + edit.anchor), encoding="utf-8")
    assert len({edit.file for edit in scenario.edits}) <= MAX_FILES
    if scenario.generates_docs:
        run(folder, "docs/generate.py")
    run(folder, "-c", scenario.check)


def test_every_section_of_the_page_is_carried_out() -> None:
    headings = re.findall(r"^## (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(headings) == {scenario.section for scenario in SCENARIOS}
