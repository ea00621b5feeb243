"""The tools of agents without the SDK: what they say of themselves, and what they do."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

import musicgate_schemas
from musicgate.aio import run_to_end
from musicgate.cli import cli
from musicgate.errors import ConfigError
from musicgate.mcp import ApiError, Audio, Created, load_sdk
from musicgate.mcp.calls import Calls, UnknownToolError, check_price
from musicgate.mcp.resources import audio_uri, read_audio_uri, read_schema_uri
from musicgate.mcp.saving import file_name, write_pieces
from musicgate.mcp.tasks import declares_tasks, render_new_task, render_task
from musicgate.mcp.tools import MAX_EMBEDDED_BYTES, tools

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

JOB = {
    "id": "music_1",
    "object": "music",
    "status": "in_progress",
    "provider": "suno",
    "provider_plugin": "suno_kie",
    "model": "V5",
    "public_model": "suno/v5",
    "nativeResponseId": "n1",
    "created_at": "2026-11-29T10:00:00Z",
    "updated_at": "2026-11-29T10:00:01Z",
}
DONE = {
    **JOB,
    "status": "completed",
    "output": [{"index": 0, "audio_url": "https://music.example/a", "content_type": "audio/mpeg"}],
}
FAILED = {**JOB, "status": "failed", "error": {"reason": "moderation", "message": "no"}}
CANCELLED = {**JOB, "status": "failed", "error": {"reason": "cancelled", "message": "cancelled"}}
SONG = {"model": "suno/v5", "prompt": "rain"}


def candidate(plugin: str, price: str | None, *, configured: bool = True) -> dict[str, Any]:
    shown = None if price is None else {"total_usd_str": price}
    return {"provider_plugin": plugin, "configured": configured, "price": shown}


class PlayedApi:
    """An API that answers with what it is given, and records what it is asked."""

    def __init__(self, *, jobs: Sequence[dict[str, Any]] = (JOB,), candidates: Sequence[Any] = ()) -> None:
        self._jobs = list(jobs)
        self._candidates = list(candidates)
        self.created: list[tuple[dict[str, Any], str]] = []
        self.waits: list[float] = []
        self.audio_bytes = b"abc"

    async def plan(self, body: dict[str, Any]) -> dict[str, Any]:
        return {"object": "plan", "model": body["model"], "candidates": self._candidates, "excluded": []}

    async def create(self, body: dict[str, Any], key: str) -> Created:
        self.created.append((body, key))
        return Created(job=self._jobs[0], is_replay=len(self.created) > 1)

    async def job(self, job_id: str, wait_s: float = 0.0) -> dict[str, Any]:
        if job_id != "music_1":
            raise ApiError({"error": "not_found", "status_code": 404, "description": "no such job"})
        self.waits.append(wait_s)
        return self._jobs.pop(0) if len(self._jobs) > 1 else self._jobs[0]

    async def jobs(
        self, states: Sequence[str], model: str | None, limit: int, cursor: str | None
    ) -> dict[str, Any]:
        return {"object": "list", "data": [DONE][:limit], "next_cursor": None}

    async def cancel(self, job_id: str) -> dict[str, Any]:
        return CANCELLED

    async def models(self) -> dict[str, Any]:
        offer = {"provider": "suno", "provider_plugin": "suno_kie", "configured": True, "options": [1]}
        other = {"provider": "fal", "provider_plugin": "fal", "configured": False, "options": []}
        return {
            "object": "list",
            "data": [
                {"id": "suno/v5", "object": "model", "aliases": ["v5"], "offers": [offer, other]},
                {"id": "fal/x", "object": "model", "aliases": [], "offers": [other]},
            ],
        }

    async def audio(self, job_id: str, index: int, wanted: str | None, *, max_bytes: int) -> Audio:
        size_bytes = len(self.audio_bytes)
        return Audio(
            name=f"{job_id}-{index}.mp3",
            content_type="audio/mpeg",
            size_bytes=size_bytes,
            uri=None,
            content=self.audio_bytes if size_bytes <= max_bytes else None,
        )

    async def save(self, job_id: str, index: int, wanted: str | None, path: Path) -> None:
        await run_to_end(path.write_bytes, self.audio_bytes)


class Recorder:
    """Records what a client is told while a call goes on."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    async def __call__(self, passed_s: float, text: str) -> None:
        self.texts.append(text)


async def call(
    api: PlayedApi, name: str, arguments: Any, *, report: Recorder | None = None, folder: Path | None = None
) -> dict[str, Any]:
    return await Calls(api, report or Recorder(), folder).call(name, arguments)


def error_of(result: dict[str, Any]) -> dict[str, Any]:
    assert result["isError"]
    assert "structuredContent" not in result
    return dict(json.loads(result["content"][0]["text"]))


# ----------------------------------------------------------------------------------------- what agents read


@pytest.mark.parametrize("tool", tools().values(), ids=lambda tool: tool.name)
def test_each_tool_has_valid_schemas_and_describes_every_argument(tool: Any) -> None:
    shown = tool.render()
    for schema in (shown["inputSchema"], shown["outputSchema"]):
        Draft202012Validator.check_schema(schema)
        assert schema["type"] == "object"
        assert '"$ref"' not in json.dumps(schema), "a client must not look elsewhere"
        assert '"type": [' not in json.dumps(schema), "some clients know one type at a time"
    assert all(part.get("description") for part in shown["inputSchema"]["properties"].values())


def test_a_field_that_may_be_null_takes_the_same_values_as_in_the_published_schema() -> None:
    schema = Draft202012Validator(tools()["make_music"].render()["inputSchema"])
    given = {**SONG, "idempotency_key": "k", "max_price_usd": None}
    for provider, is_valid in (({"only": None}, True), ({"only": ["suno"]}, True), ({"only": [5]}, False)):
        assert schema.is_valid({**given, "provider": provider}) is is_valid
    for price, is_valid in ((0.5, True), (-1, False), ("1", False)):
        assert schema.is_valid({**given, "max_price_usd": price}) is is_valid


def test_all_tools_together_are_short_enough_to_be_read_before_every_conversation() -> None:
    assert len(json.dumps([tool.render() for tool in tools().values()])) < 32_000


@pytest.mark.parametrize("name", ["plan_music", "make_music"])
def test_tools_that_take_a_request_take_every_field_of_the_published_schema(name: str) -> None:
    published = musicgate_schemas.load("request")
    schema = tools()[name].render()["inputSchema"]
    assert set(published["properties"]) <= set(schema["properties"])
    assert schema["properties"]["duration"] == published["properties"]["duration"]
    assert read_schema_uri("musicgate://schemas/options/suno") is not None
    assert "musicgate://schemas/options/suno" in schema["properties"]["suno"]["description"]


@pytest.mark.parametrize(
    ("tool", "schema"),
    [("wait_for_music", "job"), ("plan_music", "plan"), ("list_music_models", "model_list")],
)
def test_outlines_accept_the_examples_of_the_published_schemas(tool: str, schema: str) -> None:
    examples = musicgate_schemas.load(schema)["examples"]
    validator = Draft202012Validator(tools()[tool].output)
    assert examples
    assert [error.message for example in examples for error in validator.iter_errors(example)] == []


# ------------------------------------------------------------------------------------------- money and jobs


@pytest.mark.parametrize(
    ("candidates", "limit", "reason"),
    [
        ([candidate("a", "0.06")], 0.06, None),
        ([candidate("a", "0.06")], 0.059, "price_above_limit"),
        ([candidate("a", "0.06"), candidate("b", "0.30")], 0.1, "price_above_limit"),
        ([candidate("a", "0.06"), candidate("b", "0.30", configured=False)], 0.1, None),
        ([candidate("a", None)], 5, "price_not_known"),
        ([candidate("a", None)], None, None),
        ([candidate("a", "0")], 0, None),
    ],
)
async def test_a_song_that_may_cost_more_than_the_limit_is_not_made(
    candidates: Any, limit: float | None, reason: str | None
) -> None:
    api = PlayedApi(candidates=candidates)
    result = await call(api, "make_music", {**SONG, "idempotency_key": "k", "max_price_usd": limit})
    assert (error_of(result)["reason"] if result["isError"] else None) == reason
    assert api.created == ([] if reason else [(SONG, "k")])


def test_a_limit_of_price_is_compared_exactly() -> None:
    check_price({"candidates": [candidate("a", "0.1")]}, 0.1)


async def test_a_job_that_was_made_says_its_price_and_whether_it_is_a_replay() -> None:
    api = PlayedApi(candidates=[candidate("suno_kie", "0.06")])
    arguments = {**SONG, "idempotency_key": "k", "max_price_usd": 1}
    first = await call(api, "make_music", arguments)
    again = await call(api, "make_music", arguments)
    assert [result["structuredContent"]["is_replay"] for result in (first, again)] == [False, True]
    assert first["structuredContent"]["expected_price_usd"] == "0.06"


@pytest.mark.parametrize(
    ("name", "arguments", "path"),
    [
        ("make_music", SONG, ["idempotency_key"]),
        ("make_music", {**SONG, "idempotency_key": "", "max_price_usd": 1}, ["idempotency_key"]),
        ("make_music", {**SONG, "idempotency_key": "k", "max_price_usd": "1"}, ["max_price_usd"]),
        ("make_music", {**SONG, "idempotency_key": "k", "max_price_usd": -1}, ["max_price_usd"]),
        ("wait_for_music", {}, ["job_id"]),
        ("wait_for_music", {"job_id": "music_1", "timeout_seconds": 61}, ["timeout_seconds"]),
        ("list_music", {"limit": 0}, ["limit"]),
        ("list_music", {"what": 1}, ["what"]),
        ("fetch_music", {"job_id": "music_1", "format": "mid"}, ["format"]),
    ],
)
async def test_arguments_that_break_a_schema_are_named_and_nothing_is_asked(
    name: str, arguments: Any, path: list[str]
) -> None:
    api = PlayedApi()
    error = error_of(await call(api, name, arguments))
    assert error["error"] == "validation_error"
    assert path in [item["path"] for item in error["details"]]
    assert (api.created, api.waits) == ([], [])


@pytest.mark.parametrize(
    "wrong", [{"suno": {"styleWeight": float("nan")}}, {"title": "\ud800"}, {"idempotency_key": "\udfff"}]
)
async def test_what_is_not_json_in_utf_8_is_refused(wrong: dict[str, Any]) -> None:
    api = PlayedApi()
    arguments = {**SONG, "idempotency_key": "k", "max_price_usd": None, **wrong}
    assert error_of(await call(api, "make_music", arguments))["error"] == "invalid_json"
    assert api.created == []


async def test_an_unknown_tool_is_an_error_of_the_protocol() -> None:
    with pytest.raises(UnknownToolError):
        await call(PlayedApi(), "play_music", {})


async def test_a_wait_tells_how_it_goes_until_the_job_ends() -> None:
    report = Recorder()
    api = PlayedApi(jobs=[JOB, {**JOB, "progress": {"fraction": 0.4}}, DONE])
    result = await call(api, "wait_for_music", {"job_id": "music_1"}, report=report)
    assert result["structuredContent"]["status"] == "completed"
    assert [item["uri"] for item in result["content"] if item["type"] == "resource_link"] == [
        "https://music.example/a"
    ]
    assert len(report.texts) == 2
    assert "40% done" in report.texts[1]


async def test_a_wait_without_time_reads_the_job_once() -> None:
    api, report = PlayedApi(), Recorder()
    result = await call(api, "wait_for_music", {"job_id": "music_1", "timeout_seconds": 0}, report=report)
    assert (result["isError"], result["structuredContent"]["status"]) == (False, "in_progress")
    assert (api.waits, report.texts) == ([0.0], [])


@pytest.mark.parametrize(("job", "is_error"), [(FAILED, True), (CANCELLED, False), (DONE, False)])
async def test_a_failed_song_is_an_error_with_the_job(job: dict[str, Any], is_error: bool) -> None:
    result = await call(PlayedApi(jobs=[job]), "wait_for_music", {"job_id": "music_1"})
    assert (result["isError"], result["structuredContent"]) == (is_error, job)


async def test_an_error_of_the_api_is_shown_in_its_own_words() -> None:
    error = error_of(await call(PlayedApi(), "wait_for_music", {"job_id": "music_2"}))
    assert error["description"] == "no such job"


async def test_models_that_cannot_be_asked_are_counted_and_details_are_left_for_one_model() -> None:
    shown = (await call(PlayedApi(), "list_music_models", {}))["structuredContent"]
    assert [(model["id"], [offer["provider"] for offer in model["offers"]]) for model in shown["data"]] == [
        ("suno/v5", ["suno"])
    ]
    assert "options" not in shown["data"][0]["offers"][0]
    assert shown["left_out"] == 1
    one = (await call(PlayedApi(), "list_music_models", {"model": "v5"}))["structuredContent"]
    assert one["data"][0]["offers"][0]["options"] == [1]
    missing = error_of(await call(PlayedApi(), "list_music_models", {"model": "v9"}))
    assert missing["reason"] == "model_not_found"


@pytest.mark.parametrize(
    ("size_bytes", "arguments", "kinds"),
    [
        (MAX_EMBEDDED_BYTES, {}, ["text", "resource_link", "audio"]),
        (MAX_EMBEDDED_BYTES + 1, {}, ["text", "resource_link"]),
        (3, {"embed": False}, ["text", "resource_link"]),
    ],
)
async def test_audio_is_part_of_the_answer_up_to_a_size(
    size_bytes: int, arguments: dict[str, Any], kinds: list[str]
) -> None:
    api = PlayedApi()
    api.audio_bytes = b"a" * size_bytes
    result = await call(api, "fetch_music", {"job_id": "music_1", **arguments})
    assert [item["type"] for item in result["content"]] == kinds
    assert result["content"][1]["uri"] == "musicgate://audio/music_1/0"


async def test_audio_is_written_into_the_folder_that_there_is_for_it(tmp_path: Path) -> None:
    result = await call(PlayedApi(), "fetch_music", {"job_id": "music_1"}, folder=tmp_path)
    assert (tmp_path / "music_1-0.mp3").read_bytes() == b"abc"
    assert result["structuredContent"]["url"] == (tmp_path / "music_1-0.mp3").as_uri()


# ----------------------------------------------------------------------------------------- tasks, resources


@pytest.mark.parametrize(
    ("job", "status", "is_error"),
    [
        (JOB, "working", None),
        ({**JOB, "status": "queued"}, "working", None),
        (DONE, "completed", False),
        (FAILED, "completed", True),
        (CANCELLED, "cancelled", None),
    ],
)
def test_a_job_is_a_task(job: dict[str, Any], status: str, is_error: bool | None) -> None:
    task = render_task(job)
    assert (task["taskId"], task["status"], task["resultType"]) == ("music_1", status, "complete")
    assert task.get("result", {}).get("isError") is is_error


def test_a_new_task_says_what_it_is() -> None:
    task = render_new_task(JOB)
    assert (task["resultType"], task["taskId"], task["status"]) == ("task", "music_1", "working")
    assert (task["createdAt"], task["lastUpdatedAt"]) == (JOB["created_at"], JOB["updated_at"])
    assert "ttlMs" in task


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"extensions": {"io.modelcontextprotocol/tasks": {}}}, True),
        ({"extensions": {"io.modelcontextprotocol/ui": {}}}, False),
        ({"extensions": {"io.modelcontextprotocol/tasks": True}}, False),
        ({"extensions": []}, False),
        (None, False),
    ],
)
def test_a_client_declares_the_extension_for_tasks(capabilities: Any, expected: bool) -> None:
    assert declares_tasks(capabilities) is expected


@pytest.mark.parametrize("wanted", [None, "wav", "original"])
def test_an_uri_of_audio_is_read_as_it_was_made(wanted: str | None) -> None:
    found = read_audio_uri(audio_uri("music_1", 1, wanted))
    assert found is not None
    assert (found.job_id, found.index, found.wanted) == ("music_1", 1, wanted)


@pytest.mark.parametrize(
    "uri",
    [
        "musicgate://audio/../0",
        "musicgate://audio/a/0.exe",
        "file:///etc/passwd",
        "musicgate://schemas/../x",
        "",
    ],
)
def test_other_uris_lead_nowhere(uri: str) -> None:
    assert read_audio_uri(uri) is None
    assert read_schema_uri(uri) is None


def test_a_file_name_stays_in_its_folder() -> None:
    assert file_name("../../x", 0, "audio/mpeg") == "------x-0.mp3"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


async def test_a_file_that_becomes_too_large_leaves_nothing_behind(tmp_path: Path) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"12"
        yield b"34"

    with pytest.raises(ValueError, match="too large"):
        await write_pieces(pieces(), tmp_path / "song.mp3", 3)
    assert contents(tmp_path) == {}
    assert await write_pieces(pieces(), tmp_path / "song.mp3", 4) == 4
    assert contents(tmp_path) == {"song.mp3": b"1234"}


# -------------------------------------------------------------------------------------------------- the SDK


def test_the_room_is_entered_without_the_sdk() -> None:
    code = "import sys, musicgate.mcp, musicgate.cli.mcp; print({'mcp', 'pydantic', 'starlette'} & set(sys.modules))"
    shown = subprocess.run(  # noqa: S603 - this very interpreter
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == "set()"


def test_without_the_sdk_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "musicgate.mcp.sdk", None)
    monkeypatch.delattr("musicgate.mcp.sdk", raising=False)
    with pytest.raises(ConfigError, match=r"pip install 'musicgate\[mcp\]'"):
        load_sdk()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sandbox", "--url", "http://127.0.0.1:1"], "--sandbox cannot be used with --url"),
        (["--output", "no-such-folder"], "there is no such folder"),
        (["--url", "ftp://music.example"], "must be an http or https address"),
        (["--url", "http://music.example", "--key", "a b"], "--key"),
    ],
)
def test_the_command_refuses_options_that_make_no_sense(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(cli, ["mcp", *arguments])
    assert result.exit_code in {2, 3}
    assert message in result.output
