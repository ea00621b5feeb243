"""What a run shows while it waits: what is happening, and how long it takes."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import attrs
import pytest

from musicgate.cli.estimate import typical_of, typical_s
from musicgate.cli.progress import _Bar, describe_delivery, time_text
from musicgate.model import Asset, Job, JobQuery, JobState, Track
from tests.sample_jobs import START, at, attempt
from tests.sample_jobs import job as sample_job

KEPT = Asset(name="a.mp3", kind="mp3", content_type="audio/mpeg", size_bytes=1, duration_s=1.0)
JOB_CODE = """
import asyncio, sys
from musicgate.cli.options import QUIET
from musicgate.cli.progress import display
import click

STEPS = [
    ({"status": "queued", "provider_plugin": "fal"}, ""),
    ({"status": "in_progress", "provider_plugin": "fal", "progress": {"fraction": 0.5, "remaining_seconds": 65}}, ""),
    ({"status": "in_progress", "provider_plugin": "fal"}, "converting and marking the audio"),
]

async def run():
    async with display() as shown:
        shown.typical_s = TYPICAL_S
        for answer, doing in STEPS:
            shown.show(answer, doing)
            shown.show(answer, doing)
            await asyncio.sleep(0.15)

@click.command()
@QUIET
def main():
    asyncio.run(run())

main()
"""


def job(*, took_s: float, plugin: str = "fal") -> Job:
    return sample_job(JobState.COMPLETED, attempts=(attempt(plugin=plugin),), completed_at=at(took_s))


# --- how long ---


@pytest.mark.parametrize(
    ("elapsed_s", "usual_s", "said_s", "text"),
    [
        (12.4, None, None, "0:12"),
        (12.4, 60.0, None, "0:12, about 0:48 left"),
        (12.4, 60.0, 5.0, "0:12, about 0:05 left"),
        (12.4, None, 0.0, "0:12, about 0:00 left"),
        (60.0, 60.0, None, "1:00, longer than the usual 1:00"),
        (3725.0, None, None, "1:02:05"),
    ],
)
def test_time_left_is_shown_only_where_something_is_known_of_it(
    elapsed_s: float, usual_s: float | None, said_s: float | None, text: str
) -> None:
    assert time_text(elapsed_s, usual_s, said_s) == text


def test_usual_time_is_the_median_of_the_same_plugin() -> None:
    others = [job(took_s=1000.0, plugin="kie") for _ in range(9)]
    assert typical_of([*others, job(took_s=90.0), job(took_s=30.0), job(took_s=9000.0)], "fal") == 90.0


def test_too_few_jobs_give_no_usual_time() -> None:
    running = attrs.evolve(job(took_s=30.0), completed_at=None)
    assert typical_of([job(took_s=30.0), job(took_s=30.0), running], "fal") is None


async def test_usual_time_is_asked_of_completed_jobs_of_the_account_and_model() -> None:
    asked: list[tuple[str, JobQuery]] = []

    class Gate:
        async def list_jobs(self, query: JobQuery, *, account: str) -> Sequence[Job]:
            asked.append((account, query))
            return [job(took_s=30.0)] * 3

    one = attrs.evolve(job(took_s=0.0), account="ann")
    assert await typical_s(Gate(), one) == 30.0  # type: ignore[arg-type]  # all of a gateway that is used
    ((account, query),) = asked
    assert (account, query.states, query.model) == ("ann", (JobState.COMPLETED,), one.request.model)
    assert query.limit <= 20


# --- what is happening ---


def delivered(*tracks: Track, at: datetime | None = START, trouble: str | None = None) -> Job:
    one = attrs.evolve(job(took_s=0.0), state=JobState.IN_PROGRESS, completed_at=None)
    return attrs.evolve(one, tracks=tracks, delivered_at=at, storage_trouble=trouble)


def test_delivery_is_described_step_by_step() -> None:
    link = Track(index=0, audio_url="https://v.example/a.mp3")
    kept = attrs.evolve(link, asset=KEPT)
    silent = Track(index=1, failure_message="cut short", audio_url="https://v.example/b.mp3")
    assert describe_delivery(delivered(link, at=None)) == ""
    assert describe_delivery(delivered(link, kept, silent)) == "downloading track 2 of 2 from fal"
    assert describe_delivery(delivered(kept, silent)) == "converting and marking the audio"
    waiting = describe_delivery(delivered(link, trouble="disk\x1b full"))
    assert waiting == "waiting for the audio store: disk\\x1b full"
    assert describe_delivery(attrs.evolve(delivered(kept), state=JobState.COMPLETED)) == ""


def test_bar_fills_by_the_vendor_else_by_the_usual_time_else_not_at_all() -> None:
    class Drawn:
        total: float | None = None
        completed = 0.0

        def update(self, _: int, *, description: str, total: float | None, completed: float) -> None:
            self.total, self.completed = total, completed

    drawn = Drawn()
    bar = _Bar(drawn, 0)  # type: ignore[arg-type]  # all of a rich bar that is used
    bar.show({"status": "queued"})
    assert (drawn.total, drawn.completed) == (None, 0.0)
    bar.typical_s = 0.001
    bar.show({"status": "queued"})
    assert drawn.total == 1.0
    assert drawn.completed > 0.0
    bar.show({"status": "queued", "progress": {"fraction": 0.25}})
    assert (drawn.total, drawn.completed) == (1.0, 0.25)
    bar.show({"status": "queued", "progress": {"fraction": "much", "remaining_seconds": 1e300}})
    assert drawn.completed != 0.25


# --- where it is shown ---


def shown(tmp_path: Path, *arguments: str, typical_s: float | None, **env: str) -> str:
    """What is written to a pseudo-terminal."""
    ours, theirs = os.openpty()
    code = JOB_CODE.replace("TYPICAL_S", repr(typical_s))
    with subprocess.Popen(  # noqa: S603 - our own script
        [sys.executable, "-c", code, *arguments],
        cwd=tmp_path,
        stderr=theirs,
        env=_environment(env),
    ):
        os.close(theirs)
        pieces = []
        try:
            while piece := os.read(ours, 65_536):
                pieces.append(piece)
        except OSError:  # Linux raises EIO when the other side is closed
            pass
    os.close(ours)
    return b"".join(pieces).decode()


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    path = os.environ.get("PYTHONPATH", "")
    return {"PYTHONPATH": path, "TERM": "xterm-256color", "COLUMNS": "150", **more}


pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal is needed")


def test_terminal_shows_a_bar_that_names_what_happens_and_how_long(tmp_path: Path) -> None:
    text = shown(tmp_path, typical_s=None)
    assert "━" in text
    # A loaded machine may take seconds for a step.
    assert re.search(r"queued at fal \(0:\d\d\)", text)
    assert re.search(r"making music at fal \(0:\d\d, about (?:1:0\d|0:5\d) left\)", text)
    assert re.search(r"converting and marking the audio \(0:\d\d\)", text)
    assert "\x1b[38;5;" in text or re.search(r"\x1b\[3\dm", text)
    assert "about" not in text.partition("making music")[0]


def test_bar_has_no_colour_with_no_color(tmp_path: Path) -> None:
    text = shown(tmp_path, typical_s=60.0, NO_COLOR="1")
    assert "━" in text
    assert re.search(r"about (?:1:00|0:\d\d) left", text)
    assert re.findall(r"\x1b\[(?:3\d|38;[\d;]*|9\d)m", text) == []


@pytest.mark.parametrize(("arguments", "term"), [(["--quiet"], "xterm"), ([], "dumb")])
def test_quiet_and_a_simple_terminal_get_one_plain_line_for_each_step(
    tmp_path: Path, arguments: list[str], term: str
) -> None:
    lines = shown(tmp_path, *arguments, typical_s=None, TERM=term).splitlines()
    assert [re.sub(r"\(0:\d\d", "(T", line) for line in lines] == [
        "queued at fal (T)",
        "making music at fal (T, about 1:05 left)",
        "converting and marking the audio (T)",
    ]
