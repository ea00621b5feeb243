"""Pure functions of the command line: request bodies, files, and texts for people."""

import asyncio
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import pytest

from musicgate.cli.error_text import dotted
from musicgate.cli.files import (
    Target,
    find_target,
    length_text,
    size_text,
    write,
)
from musicgate.cli.jobs import age_text
from musicgate.cli.progress import describe, previews, share_done
from musicgate.cli.request_fields import build_body
from musicgate.cli.serve import curl_lines, read_switches, run_on_fast_loop
from musicgate.emulation.tones import AudioFormat, song

NO_OPTIONS: dict[str, Any] = {
    **dict.fromkeys(("prompt", "model", "lyrics", "style", "title", "negative_style", "instrumental")),
    **dict.fromkeys(("vocal_gender", "seed", "duration", "format", "request_file")),
    "only": (),
    "options": (),
}


@pytest.fixture
def clean_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


# --- request bodies ---


@pytest.mark.parametrize(
    ("given", "body"),
    [
        ({"prompt": "Jazz"}, {"prompt": "Jazz", "model": "suno/v4.5plus"}),
        ({"prompt": ""}, {"prompt": "", "model": "suno/v4.5plus"}),
        (
            {"prompt": "Jazz", "model": "minimax/music", "duration": 30, "instrumental": False, "seed": 0},
            {"prompt": "Jazz", "model": "minimax/music", "duration": 30, "instrumental": False, "seed": 0},
        ),
        (
            {"prompt": "Jazz", "only": ("suno_kie", "apiin")},
            {"prompt": "Jazz", "model": "suno/v4.5plus", "provider": {"only": ["suno_kie", "apiin"]}},
        ),
        (
            {"options": ("suno.styleWeight=0.5", "suno.style=jazz", "meta=true", 'suno.title="7"')},
            {
                "suno": {"styleWeight": 0.5, "style": "jazz", "title": "7"},
                "meta": True,
                "model": "suno/v4.5plus",
            },
        ),
        ({"options": ("a=NaN", "b=x=y")}, {"a": "NaN", "b": "x=y", "model": "suno/v4.5plus"}),
    ],
)
def test_options_become_a_request_body(given: dict[str, Any], body: dict[str, Any]) -> None:
    assert build_body({**NO_OPTIONS, **given}) == body


def test_options_override_the_request_file(tmp_path: Path) -> None:
    file, lyrics = tmp_path / "request.json", tmp_path / "lyrics.txt"
    file.write_text(
        '{"model": "minimax/music", "prompt": "old", "provider": {"order": ["x"]}, "minimax": {"stream": false}}'
    )
    lyrics.write_text("la\nlé", encoding="utf-8")
    given = {
        "prompt": "new",
        "only": ("minimax",),
        "options": ("minimax.lyrics_optimizer=true",),
        "lyrics": f"@{lyrics}",
    }
    assert build_body({**NO_OPTIONS, "request_file": str(file), **given}) == {
        "model": "minimax/music",
        "prompt": "new",
        "lyrics": "la\nlé",
        "provider": {"order": ["x"], "only": ["minimax"]},
        "minimax": {"stream": False, "lyrics_optimizer": True},
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "Missing PROMPT"),
        ({"model": "suno/v5"}, "Missing PROMPT"),
        ({"options": ("styleWeight",)}, "the form is -O block.field=value"),
        ({"options": ("suno..x=1",)}, "the form is -O block.field=value"),
        ({"prompt": "x", "options": ("prompt.deep=1",)}, "prompt is not an object"),
        ({"request_file": "missing.json"}, "missing.json: No such file"),
        ({"request_file": "list.json"}, "list.json: a request is a JSON object"),
        ({"request_file": "cut.json"}, "cut.json: not JSON: .* at line 2, column 1"),
        ({"request_file": "nan.json"}, "nan.json: not JSON: NaN is not JSON"),
        ({"request_file": "latin.json"}, "latin.json: not UTF-8"),
        ({"lyrics": "@missing.txt"}, "missing.txt: No such file"),
    ],
)
def test_options_that_cannot_be_read_are_usage_errors(
    clean_folder: Path, given: dict[str, Any], message: str
) -> None:
    (clean_folder / "list.json").write_text("[1]")
    (clean_folder / "cut.json").write_text('{"a":\n')
    (clean_folder / "nan.json").write_text('{"a": NaN}')
    (clean_folder / "latin.json").write_bytes(b'"\xe9"')
    with pytest.raises(click.UsageError, match=message):
        build_body({**NO_OPTIONS, **given})


# --- files ---


@pytest.mark.parametrize(
    ("output", "stem", "ending"),
    [
        (None, "song", ""),
        ("tango.mp3", "tango", ".mp3"),
        ("tango.WAV", "tango", ".wav"),
        ("tango", "tango", ""),
        ("my.song", "my.song", ""),
        (".mp3", ".mp3", ""),
        ("sub", "song", ""),
        ("sub/", "song", ""),
        ("sub/a.b.ogg", "a.b", ".ogg"),
    ],
)
def test_output_is_a_name_or_a_folder(clean_folder: Path, output: str | None, stem: str, ending: str) -> None:
    (clean_folder / "sub").mkdir()
    target = find_target(output, force=False)
    assert (target.stem, target.ending) == (stem, ending)
    assert target.folder == Path("sub" if output and output.startswith("sub") else ".")


@pytest.fixture(scope="module")
def mp3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("source") / "0.bin"
    path.write_bytes(song(AudioFormat(), 6.0, seed=1))
    return path


def test_files_get_the_extension_of_the_audio_and_the_next_free_number(tmp_path: Path, mp3: Path) -> None:
    target = Target(folder=tmp_path, stem="song", ending=".wav")
    assert [write(mp3, target, position).name for position in (0, 1)] == ["song.mp3", "song-2.mp3"]
    (tmp_path / "song.mp3").write_bytes(b"mine")
    assert [write(mp3, target, position).name for position in (0, 1)] == ["song-3.mp3", "song-4.mp3"]
    assert (tmp_path / "song.mp3").read_bytes() == b"mine"
    assert (tmp_path / "song-4.mp3").read_bytes() == mp3.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "song-2.mp3",
        "song-3.mp3",
        "song-4.mp3",
        "song.mp3",
    ]


def test_a_kept_song_that_begins_with_zeros_is_written(tmp_path: Path, mp3: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_bytes(bytes(512) + mp3.read_bytes())
    assert write(kept, Target(folder=tmp_path, stem="song"), 0).name == "song.mp3"


def test_force_overwrites_a_file(tmp_path: Path, mp3: Path) -> None:
    (tmp_path / "song.mp3").write_bytes(b"old")
    path = write(mp3, Target(folder=tmp_path, stem="song", force=True), 0)
    assert (path.name, path.read_bytes()) == ("song.mp3", mp3.read_bytes())
    assert len(list(tmp_path.iterdir())) == 1


def test_files_are_written_on_a_file_system_without_hard_links(
    tmp_path: Path, mp3: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "no links here")

    monkeypatch.setattr("os.link", refuse)
    (tmp_path / "song.mp3").write_bytes(b"mine")
    assert write(mp3, Target(folder=tmp_path, stem="song"), 0).read_bytes() == mp3.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["song-2.mp3", "song.mp3"]
    assert (tmp_path / "song.mp3").read_bytes() == b"mine"


def test_a_full_disk_leaves_no_partial_file(
    tmp_path: Path, mp3: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfile", fail)
    with pytest.raises(OSError, match="No space left"):
        write(mp3, Target(folder=tmp_path, stem="song"), 0)
    assert list(tmp_path.iterdir()) == []


# --- texts for people ---


def test_durations_sizes_and_ages_are_formatted_for_people() -> None:
    assert [length_text(seconds) for seconds in (0.4, 7.5, 59.6, 151.2, None)] == [
        "0:00", "0:08", "1:00", "2:31", "length unknown",
    ]  # fmt: skip
    assert [size_text(size) for size in (900, 99_000, 3_412_000)] == ["0.9 kB", "99.0 kB", "3.4 MB"]
    ages = [timedelta(seconds=seconds) for seconds in (-5, 59, 61, 7300, 200_000)]
    assert [age_text(age) for age in ages] == ["0 s", "59 s", "1 min", "2 h", "2 d"]
    assert dotted(("provider", "order", 0)) == "provider.order[0]"


def test_the_bar_is_at_90_percent_at_the_typical_time_and_never_full() -> None:
    shares = [share_done(elapsed_s, 60.0) for elapsed_s in (-1, 0, 30, 60, 120, 600)]
    assert shares == sorted(shares)
    assert [round(share, 2) for share in shares[:5]] == [0.0, 0.0, 0.68, 0.9, 0.99]
    assert share_done(100.0, 60.0) < 1.0


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ({"status": "queued", "provider_plugin": "suno_kie"}, "queued at suno_kie"),
        (
            {"status": "in_progress", "provider_plugin": "suno_kie", "native_status": "PENDING"},
            "making music at suno_kie: PENDING",
        ),
        ({"status": "completed", "provider_plugin": "suno_kie", "native_status": "SUCCESS"}, "done"),
        (
            {"status": "queued", "provider_plugin": "fal", "attempts": [{"outcome": "planned"}]},
            "waiting for a free place at fal",
        ),
        (
            {"status": "queued", "provider_plugin": "fal", "attempts": [{}, {"outcome": "sent"}]},
            "submitting to fal",
        ),
        (
            {"status": "in_progress", "provider_plugin": "fal", "output": [{"audio": {}}, {}]},
            "keeping the audio of fal",
        ),
        ({"status": "failed"}, "failed"),
        ({"status": "paused"}, "paused"),
    ],
)
def test_the_state_of_a_job_is_described(answer: dict[str, Any], text: str) -> None:
    assert describe(answer) == text


def test_tracks_that_can_be_streamed_early_are_shown() -> None:
    output = [
        {"index": 0, "title": "Blue", "stream_audio_url": "http://v.example/s", "audio_url": None},
        {"index": 1, "title": None, "audio_url": "file:///kept.mp3"},
        {"index": 2, "title": None, "audio_url": None},
    ]
    assert previews({"status": "in_progress", "output": output}) == {
        0: 'track 1 "Blue" can be streamed already: http://v.example/s'
    }
    assert previews({"status": "completed", "output": output}) == {}


def test_curl_commands_have_a_key_where_the_server_has_accounts() -> None:
    create, key = "curl -s http://h/v1/music/generate", '-H "Authorization: Bearer $MUSICGATE_API_KEY"'
    assert f"{create} {key} -H" in "".join(curl_lines("http://h", ["m"], has_accounts=True))
    assert "Authorization" not in "".join(curl_lines("http://h", ["m"], has_accounts=False))


def test_switches_are_name_value_pairs() -> None:
    assert read_switches(["suno_kie.end=X", "cut", "a=b=c"]) == {"suno_kie.end": "X", "cut": "1", "a": "b=c"}


# --- the event loop of the server ---


def test_the_server_runs_on_uvloop_where_it_is_installed() -> None:
    uvloop = pytest.importorskip("uvloop")
    found: list[object] = []

    async def main() -> None:
        found.append(type(asyncio.get_running_loop()))

    run_on_fast_loop(main())
    assert found == [uvloop.Loop]


def test_the_server_runs_on_the_loop_of_asyncio_without_uvloop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    found: list[str] = []

    async def main() -> None:
        found.append(type(asyncio.get_running_loop()).__module__)

    run_on_fast_loop(main())
    assert found[0].startswith("asyncio.")
