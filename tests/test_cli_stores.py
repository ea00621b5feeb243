"""The stores of the command line, and the output at the end of a run."""

import json
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest

from musicgate.cli import FailedError, stores
from musicgate.cli.files import Target
from musicgate.cli.run import (
    Order,
    deliver,
    price_text,
    refuse_failed,
)
from musicgate.emulation.tones import AudioFormat, song
from musicgate.errors import ConfigError, JobNotFoundError
from musicgate.hosting.discovery import load_plugins
from musicgate.model import (
    AttemptOutcome,
    Job,
    JobState,
)
from musicgate.settings import ServerSettings, Settings, StoreSettings
from musicgate.store.sqlite import SqliteJobStore
from tests.sample_jobs import attempt, job


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, server=ServerSettings(public_url="https://music.example"))


def test_every_slot_has_its_own_store_and_folder_and_no_public_url(settings: Settings) -> None:
    found = list(stores.slots(settings))
    assert [Path(slot.store_url.removeprefix("sqlite:///")).name for slot in found] == [
        "musicgate.db", *(f"cli-{number}.db" for number in range(2, 10)),
    ]  # fmt: skip
    assert len({slot.assets_url for slot in found}) == 9
    assert {slot.server.public_url for slot in found} == {""}


async def test_the_first_free_store_is_taken(settings: Settings) -> None:
    host = load_plugins()
    async with AsyncExitStack() as stack:
        opened = [await stores.open_free(stack, settings, host) for _ in range(2)]
        assert [Path(gateway.settings.store_url).name for gateway in opened] == [
            "musicgate.db",
            "cli-2.db",
        ]
        with pytest.raises(ConfigError, match=r"another musicgate uses .*musicgate\.db, .*cli-2\.db"):
            await stores.open_with(stack, settings, host, "music_x")
        assert await stores.list_jobs(settings, 5) == []
    with pytest.raises(JobNotFoundError):
        await stores.open_with(AsyncExitStack(), settings, host, "music_x")


async def test_all_stores_in_use_is_an_error(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "_LAST_SLOT", 1)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(SqliteJobStore.open(settings.data_dir / "musicgate.db"))
        with pytest.raises(ConfigError, match="all 1 stores of the command line are in use"):
            await stores.open_free(stack, settings, load_plugins())


async def test_a_wrong_store_url_is_an_error_and_not_a_store_in_use(
    settings: Settings, tmp_path: Path
) -> None:
    wrong = attrs.evolve(settings, store=StoreSettings(url="mysql://x"))
    with pytest.raises(ConfigError, match=r"store\.url: must have the form"):
        await stores.open_free(AsyncExitStack(), wrong, load_plugins())
    assert not (tmp_path / "cli-2.db").exists()


def job_with(outcome: AttemptOutcome, native_id: str | None = None) -> Job:
    sent = attempt(outcome, native_id, plugin="suno_kie")
    return job(deadline_at=datetime.now(UTC) + timedelta(hours=1), attempts=(sent,))


@pytest.mark.parametrize(
    ("outcome", "native_id", "public_url", "store"),
    [
        (AttemptOutcome.PLANNED, None, "", "cli-2.db"),
        (AttemptOutcome.SENT, None, "https://music.example", "cli-2.db"),
        (AttemptOutcome.UNKNOWN, None, "https://music.example", "cli-2.db"),
        (AttemptOutcome.SENT, None, "", "musicgate.db"),
        (AttemptOutcome.ACCEPTED, "task", "https://music.example", "musicgate.db"),
    ],
)
async def test_jobs_that_a_short_run_would_harm_are_left_to_their_server(
    outcome: AttemptOutcome, native_id: str | None, public_url: str, store: str, tmp_path: Path
) -> None:
    settings = Settings(data_dir=tmp_path, server=ServerSettings(public_url=public_url))
    before = job_with(outcome, native_id)
    async with SqliteJobStore.open(tmp_path / "musicgate.db") as opened:
        await opened.add(before, [])
    async with AsyncExitStack() as stack:
        gateway = await stores.open_free(stack, settings, load_plugins())
        assert Path(gateway._context.settings.store_url).name == store
    if store != "musicgate.db":
        with pytest.raises(ConfigError, match="only a server can finish"):
            await stores.open_with(AsyncExitStack(), settings, load_plugins(), "music_1")
        async with SqliteJobStore.open(tmp_path / "musicgate.db") as opened:
            assert await opened.get("music_1") == before


async def test_jobs_of_all_accounts_and_states_are_listed(settings: Settings) -> None:
    made = job_with(AttemptOutcome.REFUSED)
    jobs = [
        attrs.evolve(
            made,
            id=f"music_{number}",
            account=account,
            state=state,
            created_at=made.created_at + timedelta(seconds=number),
            completed_at=made.created_at if state.is_final else None,
        )
        for number, (account, state) in enumerate(
            [
                ("local", JobState.QUEUED),
                ("studio", JobState.FAILED),
                ("local", JobState.FAILED),
                ("studio", JobState.COMPLETED),
            ]
        )
    ]
    async with SqliteJobStore.open(settings.data_dir / "musicgate.db") as opened:
        for job in jobs:
            await opened.add(job, [])
        # Beside the process that uses it.
        assert await stores.list_jobs(settings, 9) == jobs[::-1]
    assert await stores.list_jobs(settings, 2) == jobs[:1:-1]
    assert await stores.list_jobs(settings, 9, "studio") == [jobs[3], jobs[1]]
    assert await stores.accounts(settings) == {"local", "studio"}


# --- the end of a run ---


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    (tmp_path / "source").mkdir()
    path = tmp_path / "source" / "0.mp3"
    path.write_bytes(song(AudioFormat(), 6.0, seed=1))
    return path


ANSWER: dict[str, Any] = {
    "id": "music_1",
    "provider_plugin": "suno_kie",
    "model": "V5",
    "output": [
        {"index": 0, "duration": None, "error": {"message": "the link broke"}},
        {"index": 1, "duration": 61.4},
    ],
}


def test_a_broken_track_is_reported_and_the_other_one_written(
    tmp_path: Path, audio: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deliver(
        ANSWER, {1: audio}, Order(target=Target(folder=tmp_path, stem="s", ending=".wav")), in_sandbox=False
    )
    shown = capsys.readouterr()
    assert (
        shown.out
        == f"{tmp_path}/s.mp3  1:01  {audio.stat().st_size / 1000:.1f} kB\nsuno_kie, V5: the price is not known\n"
    )
    assert shown.err == "warning: track 1: the link broke\nnote: the audio is mp3, not wav\n"


def test_json_output_is_one_value(tmp_path: Path, audio: Path, capsys: pytest.CaptureFixture[str]) -> None:
    deliver(
        ANSWER, {1: audio}, Order(target=Target(folder=tmp_path, stem="s"), as_json=True), in_sandbox=False
    )
    assert json.loads(capsys.readouterr().out) == {**ANSWER, "files": [f"{tmp_path}/s.mp3"]}


def test_no_audio_at_all_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(FailedError, match="job music_1 has no audio"):
        deliver(ANSWER, {}, Order(target=Target(folder=tmp_path, stem="s")), in_sandbox=False)


def test_a_full_disk_names_the_command_that_gets_the_song_later(
    tmp_path: Path, audio: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfile", fail)
    with pytest.raises(
        FailedError, match=r"(?s)No space left on device.*fetch it with: musicgate fetch music_1"
    ):
        deliver(ANSWER, {1: audio}, Order(target=Target(folder=tmp_path, stem="s")), in_sandbox=False)


@pytest.mark.parametrize(
    ("total", "in_sandbox", "line"),
    [
        ("0.06", False, "suno_kie, V5: $0.06"),
        ("0.06", True, "suno_kie, V5: nothing was paid (the vendor would charge $0.06)"),
        (None, True, "suno_kie, V5: nothing was paid"),
        (None, False, "suno_kie, V5: the price is not known"),
    ],
)
def test_the_last_line_names_plugin_model_and_price(
    total: str | None, *, in_sandbox: bool, line: str
) -> None:
    usage = {"pricing_breakdown": {"total_usd_str": total}} if total else {}
    assert price_text({**ANSWER, "usage": usage}, in_sandbox=in_sandbox) == line


def test_a_failed_job_is_an_error_with_its_reason() -> None:
    error = {
        "reason": "moderation",
        "message": "not this",
        "native_code": "531",
        "may_have_cost": True,
        "suggestion": "a waltz",
    }
    fail: Callable[[], None] = lambda: refuse_failed({**ANSWER, "status": "failed", "error": error})  # noqa: E731
    with pytest.raises(FailedError) as caught:
        fail()
    assert caught.value.message.splitlines() == [
        "suno_kie failed: not this (moderation, code 531)",
        "it may have been billed nevertheless",
        'the vendor suggests: "a waltz"',
        "job music_1",
    ]
