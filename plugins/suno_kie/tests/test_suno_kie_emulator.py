"""The emulator: order of checks, accounts, records, callbacks, media, and each switch."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest

from musicgate.emulation.switches import markdown
from musicgate.plugin.emulator import EmulatedAnswer, EmulatorOptions
from musicgate.plugin.wire import HttpRequest, HttpResponse
from musicgate_suno_kie.emulator_service import SunoEmulator

ORIGIN = "http://127.0.0.1:9000"
T0 = 1_790_000_000.0
CREATE, READ = "/api/v1/generate", "/api/v1/generate/record-info"
MARKET_CREATE, MARKET_READ = "/api/v1/jobs/createTask", "/api/v1/jobs/recordInfo"
CALLBACK_URL = "http://127.0.0.1:9001/cb"
IDEA: dict[str, Any] = {
    "prompt": "jazz",
    "customMode": False,
    "instrumental": False,
    "model": "V5",
    "callBackUrl": CALLBACK_URL,
}
CUSTOM: dict[str, Any] = {**IDEA, "customMode": True, "prompt": "la", "style": "jazz", "title": "Rain"}


def market(**song: Any) -> dict[str, Any]:
    native = {"prompt": "x", "custom_mode": False, "instrumental": False, "model": "V6", **song}
    return {"model": "ai-music-api/generate", "input": native}


class Client:
    """A caller with a key and a clock."""

    def __init__(
        self,
        switches: dict[str, str] | None = None,
        *,
        speed: float = 1.0,
        secret: str | None = None,
        **more: str,
    ) -> None:
        options = EmulatorOptions(switches={**(switches or {}), **more}, speed=speed, webhook_secret=secret)
        self.emulator = SunoEmulator(options)
        self.now = T0
        self.key = "test-key-not-real"

    def call(self, method: str, path: str, body: object = None, **headers: str) -> EmulatedAnswer:
        url = path if path.startswith("http") else ORIGIN + path
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"authorization": f"Bearer {self.key}", **headers}
        return self.emulator.answer(HttpRequest(method=method, url=url, headers=sent, body=content), self.now)

    def json(self, method: str, path: str, body: object = None, **headers: str) -> dict[str, Any]:
        value = self.call(method, path, body, **headers).response.json_object()
        return dict(value)

    def code(self, method: str, path: str, body: object = None) -> tuple[Any, Any]:
        answer = self.json(method, path, body)
        return answer["code"], answer["msg"]

    def create(self, path: str = CREATE, **song: Any) -> str:
        task_id = self.json("POST", path, {**IDEA, **song})["data"]["taskId"]
        assert isinstance(task_id, str)
        return task_id

    def record(self, task_id: str, path: str = READ) -> dict[str, Any]:
        data: dict[str, Any] = self.json("GET", f"{path}?taskId={task_id}")["data"]
        return data

    def get(self, link: str) -> HttpResponse:
        return self.call("GET", link).response


# --- refusals ---


def test_checks_run_in_the_vendors_order() -> None:
    client = Client(rate="0", credits="0")
    body: dict[str, Any] = {"customMode": True, "instrumental": False, "styleWeight": 2}
    client.key = "bad-key"
    assert client.code("POST", CREATE, b"{")[0] == 401
    client.key = "test-key-not-real"
    assert client.code("POST", CREATE, b"{") == (422, "The request body is not valid JSON")
    assert client.code("POST", CREATE, body) == (422, "Please enter callBackUrl.")
    body |= {"callBackUrl": CALLBACK_URL}
    assert client.code("POST", CREATE, body) == (500, "model: This field is required")
    body |= {"model": "V5", "title": "t" * 81}
    assert client.code("POST", CREATE, body) == (422, "Please enter style.")
    body |= {"style": "s", "prompt": "p"}
    assert client.code("POST", CREATE, body) == (422, "The title cannot exceed 80 characters")
    body |= {"title": "t"}
    assert client.code("POST", CREATE, body) == (422, "styleWeight must be between 0 and 1")
    body |= {"styleWeight": 1}
    assert client.code("POST", CREATE, body)[0] == 402
    assert client.emulator.tasks == {}


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        (CREATE, [], 422),
        (CREATE, {**IDEA, "callBackUrl": "me"}, 422),
        (CREATE, {**IDEA, "model": "V3_5"}, 500),
        (CREATE, {**IDEA, "model": "V6"}, 500),
        (CREATE, {**IDEA, "customMode": None}, 500),
        (CREATE, {**IDEA, "prompt": " "}, 422),
        (CREATE, {**IDEA, "prompt": "x" * 501}, 422),
        (CREATE, {**IDEA, "prompt": "😀" * 251}, 422),
        (CREATE, {**CUSTOM, "title": ""}, 422),
        (CREATE, {**CUSTOM, "prompt": ""}, 422),
        (CREATE, {**CUSTOM, "prompt": "x" * 5001}, 422),
        (CREATE, {**CUSTOM, "model": "V4", "style": "x" * 201}, 422),
        (CREATE, {**IDEA, "vocalGender": "x"}, 500),
        (CREATE, {**IDEA, "audioWeight": -0.1}, 422),
        (CREATE, {**CUSTOM, "model": "V5_5", "duration": 9}, 422),
        (CREATE, {**CUSTOM, "model": "V5_5", "duration": 361}, 422),
        (MARKET_CREATE, {**market(), "model": "other"}, 422),
        (MARKET_CREATE, market(model="V9"), 500),
        (MARKET_CREATE, market(prompt="x" * 3001), 422),
        (CREATE, {**IDEA, "styleWeight": 0.655}, 422),
        (CREATE, {**CUSTOM, "personaModel": "other", "personaId": "p"}, 500),
        (CREATE, {**CUSTOM, "personaModel": "style_persona"}, 422),
        (CREATE, {**CUSTOM, "model": "V4_5", "personaModel": "voice_persona", "personaId": "p"}, 500),
        (MARKET_CREATE, market(custom_mode=None), 500),
        (MARKET_CREATE, market(custom_mode=True, variety=5), 422),
        (MARKET_CREATE, market(custom_mode=True, variety=True), 422),
        (MARKET_CREATE, market(image_urls=["https://example.com/a.png"] * 6), 422),
        (MARKET_CREATE, market(video_urls=["https://example.com/a.mp4"] * 2), 422),
        (MARKET_CREATE, market(custom_mode=True, audio_urls=["https://example.com/a.mp3"]), 422),
        (MARKET_CREATE, market(custom_mode=True, lyrics="x" * 5001), 422),
        (MARKET_CREATE, {"model": "ai-music-api/generate", "input": 3}, 500),
    ],
)
def test_invalid_song_is_refused_and_not_charged(path: str, body: object, code: int) -> None:
    client = Client()
    assert client.code("POST", path, body)[0] == code
    assert client.emulator.books.creates == []
    assert client.emulator.balance(client.key) == 10_000


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CREATE, IDEA),
        (CREATE, {**IDEA, "prompt": "x" * 500}),
        (CREATE, CUSTOM),
        (CREATE, {**CUSTOM, "instrumental": True, "prompt": None}),
        (CREATE, {**CUSTOM, "model": "V5_5", "duration": 360}),
        (MARKET_CREATE, market()),
        (CREATE, {**CUSTOM, "personaModel": "voice_persona", "personaId": "p", "audioWeight": 0.07}),
        (MARKET_CREATE, market(model="V5")),
        (MARKET_CREATE, market(custom_mode=True, prompt=None)),
        (MARKET_CREATE, market(custom_mode=True, style="s", title="t", lyrics="la", prompt=None)),
        (MARKET_CREATE, market(custom_mode=True, lyrics="la", prompt="x" * 5001, variety=4)),
        (MARKET_CREATE, market(audio_urls=["https://example.com/a.mp3"] * 9)),
        (MARKET_CREATE, market(prompt="x" * 3000, image_urls=["https://example.com/a.png"])),
    ],
)
def test_valid_song_is_accepted_and_charged_once(path: str, body: dict[str, Any]) -> None:
    client = Client()
    answer = client.json("POST", path, body)
    task_id = answer["data"]["taskId"]
    assert answer == {"code": 200, "msg": "success", "data": {"taskId": task_id}}
    assert len(task_id) == 32
    assert set(task_id) <= set("0123456789abcdef")
    assert client.emulator.books.creates == [task_id]
    assert client.emulator.books.credits_charged == {task_id: 12}
    assert client.json("GET", "/api/v1/chat/credit")["data"] == 9988


def test_legacy_v6_switch_lets_the_legacy_route_accept_v6() -> None:
    assert Client(legacy_v6="1").create(model="V6")


@pytest.mark.parametrize(
    ("key", "code"), [("bad-key", 401), ("", 401), ("no-credits-key", 402), ("sub-key-limit-key", 433)]
)
def test_key_prefix_selects_a_refusal(key: str, code: int) -> None:
    client = Client()
    client.key = key
    assert client.code("POST", CREATE, IDEA)[0] == code


def test_authorization_scheme_other_than_bearer_is_refused() -> None:
    assert Client().json("POST", CREATE, IDEA, authorization="Token test-key-not-real")["code"] == 401


def test_echo_key_switch_repeats_the_key_in_the_auth_error() -> None:
    client = Client(echo_key="1")
    client.key = "bad-key-not-real"
    assert client.code("POST", CREATE, IDEA)[1] == "You do not have access permissions: bad-key-not-real"


def test_credits_run_out() -> None:
    client = Client(credits="24.5")
    client.create()
    client.create()
    assert client.code("POST", CREATE, IDEA)[0] == 402
    assert client.json("GET", "/api/v1/chat/credit")["data"] == 0.5
    assert client.json("GET", "/api/v1/generate/credit")["data"] == 0.5


def test_21st_create_within_ten_seconds_is_refused_and_not_queued() -> None:
    client = Client()
    for _ in range(20):
        client.create()
    assert client.code("POST", CREATE, IDEA) == (
        429,
        "Your call frequency is too high, please try again later.",
    )
    client.key = "another-key-not-real"
    client.create()
    client.key = "test-key-not-real"
    client.now += 9.9
    assert client.code("POST", CREATE, IDEA)[0] == 429
    client.now += 0.1
    client.create()
    assert len(client.emulator.books.creates) == 22


@pytest.mark.parametrize(("switches", "fits"), [({"rate": "1"}, 1), ({"rate": "off"}, 30)])
def test_rate_switch_sets_the_rate_limit(switches: dict[str, str], fits: int) -> None:
    client = Client(switches)
    codes = [client.code("POST", CREATE, IDEA)[0] for _ in range(30)]
    assert codes.count(200) == fits


def test_unknown_route_is_an_http_404() -> None:
    for method, path in (("GET", "/"), ("GET", CREATE), ("POST", "/api/v1/lyrics"), ("GET", "/media/x/y")):
        assert Client().call(method, path).response.status == 404
    assert Client().call("GET", "/media/unknown.mp3").response.status == 404


@pytest.mark.parametrize(("mode", "status"), [("body_only", 200), ("real", 402)])
def test_http_status_switch_repeats_the_code_as_status(mode: str, status: int) -> None:
    client = Client(http_status=mode, credits="0")
    answer = client.call("POST", CREATE, IDEA)
    assert answer.response.status == status
    assert answer.response.json_object()["code"] == 402


def test_envelope_switch_renames_msg_to_message() -> None:
    assert Client(envelope="message").json("GET", "/api/v1/chat/credit")["message"] == "success"


# --- records ---


@pytest.mark.parametrize(
    ("after_s", "status", "urls"),
    [
        (0, "PENDING", []),
        (9.9, "PENDING", []),
        (10, "TEXT_SUCCESS", [0, 0]),
        (27, "FIRST_SUCCESS", [1, 0]),
        (45, "SUCCESS", [1, 1]),
    ],
)
@pytest.mark.parametrize("speed", [1.0, 10.0])
def test_task_goes_through_its_stages(after_s: float, status: str, urls: list[int], speed: float) -> None:
    client = Client(speed=speed)
    task_id = client.create()
    client.now += after_s / speed
    record = client.record(task_id)
    tracks = record["response"]["sunoData"] if record["response"] else []
    assert record["status"] == status
    assert [int(bool(track["audioUrl"])) for track in tracks] == urls
    assert [int(bool(track["duration"])) for track in tracks] == urls


def test_record_has_the_observed_shape() -> None:
    client = Client()
    task_id = client.create(**{**CUSTOM, "model": "V4_5"})
    client.now += 45
    record = client.record(task_id)
    assert list(record) == [
        *("taskId", "parentMusicId", "param", "response", "status", "type", "operationType"),
        *("errorCode", "errorMessage", "createTime"),
    ]
    assert json.loads(record["param"])["style"] == "jazz"
    assert record["createTime"] == 1_790_000_000_000
    first, second = record["response"]["sunoData"]
    assert (first["title"], first["tags"], first["prompt"], first["modelName"]) == (
        "Rain",
        "jazz",
        "la",
        "chirp-auk-turbo",
    )
    assert first["createTime"] == 1_790_000_000_000
    assert first["id"] != second["id"]
    assert first["id"][14] == "4"
    assert first["duration"] != second["duration"]
    assert 6 <= first["duration"] <= 12
    assert first["sourceAudioUrl"].startswith(f"{ORIGIN}/source/")


def test_doc_shape_has_a_date_text_and_no_source_links() -> None:
    client = Client(shape="doc")
    task_id = client.create()
    client.now += 45
    record = client.record(task_id)
    assert record["createTime"] == "2026-09-21 22:13:20"
    assert not [key for key in record["response"]["sunoData"][0] if key.startswith("source")]


def test_instrumental_track_has_a_placeholder_as_prompt() -> None:
    client = Client()
    task_id = client.create(instrumental=True)
    client.now += 45
    assert client.record(task_id)["response"]["sunoData"][0]["prompt"] == "[Instrumental]"


@pytest.mark.parametrize(
    ("switches", "song", "lengths"),
    [
        ({"song_s": "48,217"}, {}, [48, 217]),
        ({"song_s": "doc"}, {}, [198.44, 228.28]),
        ({}, {**CUSTOM, "model": "V5_5", "duration": 20}, [20, 22]),
    ],
)
def test_lengths_switch_or_requested_duration_sets_the_lengths(
    switches: dict[str, str], song: dict[str, Any], lengths: list[float]
) -> None:
    client = Client(switches)
    task_id = client.create(**song)
    client.now += 45
    assert [track["duration"] for track in client.record(task_id)["response"]["sunoData"]] == lengths


@pytest.mark.parametrize(
    ("waiting", "response"),
    [
        ("response_null", None),
        ("suno_data_null", {"sunoData": None}),
        ("suno_data_empty", {"sunoData": []}),
    ],
)
def test_waiting_switch_sets_the_shape_of_a_record_without_tracks(
    waiting: str, response: dict[str, Any] | None
) -> None:
    client = Client(waiting=waiting)
    record = client.record(client.create())
    assert record["response"] == (None if response is None else {"taskId": record["taskId"], **response})


def test_param_switch_breaks_the_echoed_request() -> None:
    client = Client(param="broken")
    with pytest.raises(ValueError, match="Unterminated"):
        json.loads(client.record(client.create())["param"])


@pytest.mark.parametrize(
    ("path", "switches", "code", "msg"),
    [
        (READ, {}, 200, "success"),
        (READ, {"unknown": "null_record"}, 422, "recordInfo is null"),
        (MARKET_READ, {}, 422, "recordInfo is null"),
    ],
)
def test_unknown_task_has_no_record(path: str, switches: dict[str, str], code: int, msg: str) -> None:
    """Seen: the legacy route says success, with data null; the market's refuses."""
    answer = Client(switches).json("GET", f"{path}?taskId=unknown")
    assert answer == {"code": code, "msg": msg, "data": None}


def test_task_is_found_only_by_its_account_and_in_its_dialect() -> None:
    client = Client()
    task_id = client.create()
    assert client.code("GET", f"{MARKET_READ}?taskId={task_id}")[0] == 422
    client.key = "another-key-not-real"
    assert client.json("GET", f"{READ}?taskId={task_id}")["data"] is None


def test_fourth_read_within_a_second_is_refused() -> None:
    client = Client()
    task_id = client.create()
    codes = [client.code("GET", f"{READ}?taskId={task_id}")[0] for _ in range(4)]
    assert codes == [200, 200, 200, 429]
    client.now += 1
    assert client.record(task_id)["status"] == "PENDING"


def test_market_record_is_null_at_first_and_goes_through_the_market_states() -> None:
    client = Client()
    task_id = client.json("POST", MARKET_CREATE, market())["data"]["taskId"]
    assert client.code("GET", f"{MARKET_READ}?taskId={task_id}") == (422, "recordInfo is null")
    states = []
    for second in (2, 6, 12, 30, 45):
        client.now = T0 + second
        states.append(client.record(task_id, MARKET_READ)["state"])
    assert states == ["waiting", "queuing", "generating", "generating", "success"]
    record = client.record(task_id, MARKET_READ)
    song = json.loads(record["resultJson"])["data"][0]
    assert {"audio_url", "stream_audio_url", "image_url", "model_name", "createTime"} <= set(song)
    assert (record["costTime"], record["creditsConsumed"], record["failCode"]) == (45_000, 12, None)


def test_failed_market_task_has_a_code_and_a_message() -> None:
    client = Client(end="FAILED", error_code="400", error_message="under_copyright")
    task_id = client.json("POST", MARKET_CREATE, market())["data"]["taskId"]
    client.now += 45
    record = client.record(task_id, MARKET_READ)
    assert (record["state"], record["failCode"], record["failMsg"]) == ("fail", "400", "under copyright")
    assert record["resultJson"] is None


@pytest.mark.parametrize(("refund", "left"), [({}, 10_000), ({"refund": "off"}, 9988)])
def test_failed_task_is_refunded_unless_switched_off(refund: dict[str, str], left: float) -> None:
    client = Client(refund, end="GENERATE_AUDIO_FAILED")
    task_id = client.create()
    assert client.json("GET", "/api/v1/chat/credit")["data"] == 9988
    client.now += 45
    assert client.json("GET", "/api/v1/chat/credit")["data"] == left
    assert client.emulator.books.credits_charged[task_id] == 10_000 - left


# --- switches ---


def test_switches_of_a_task_beat_the_global_switches() -> None:
    client = Client(end="FAILED")
    task_id = client.create(prompt="jazz [emulate end=SUCCESS done_s=1 skip=text,first]")
    client.now += 1
    assert client.record(task_id)["status"] == "SUCCESS"


@pytest.mark.parametrize(
    ("create", "codes"), [("429:2", [429, 429, 200]), ("455", [455, 200, 200]), ("402:ever", [402, 402, 402])]
)
def test_create_script_refuses_until_it_ends(create: str, codes: list[int]) -> None:
    client = Client(create=create)
    assert [client.code("POST", CREATE, IDEA)[0] for _ in codes] == codes
    assert len(client.emulator.books.creates) == codes.count(200)


def test_create_script_of_a_task_counts_equal_bodies() -> None:
    client = Client()
    song = {**IDEA, "prompt": "[emulate create=429]"}
    other = {**IDEA, "prompt": "more [emulate create=429]"}
    assert [client.code("POST", CREATE, body)[0] for body in (song, other, song, other)] == [
        429,
        429,
        200,
        200,
    ]


def test_false_status_of_a_read_script_lasts_one_read() -> None:
    client = Client(poll="status-PENDING")
    task_id = client.create()
    client.now += 45
    assert client.record(task_id)["status"] == "PENDING"
    assert client.record(task_id)["status"] == "SUCCESS"


def test_readme_has_the_vendors_own_switches() -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
    assert markdown(SunoEmulator.switches) in readme


@pytest.mark.parametrize(
    ("switches", "statuses"),
    [
        (
            {"end": "GENERATE_AUDIO_FAILED"},
            ["PENDING", "TEXT_SUCCESS", "TEXT_SUCCESS", "GENERATE_AUDIO_FAILED"],
        ),
        ({"end": "SENSITIVE_WORD_ERROR"}, ["PENDING", "PENDING", "PENDING", "SENSITIVE_WORD_ERROR"]),
        (
            {"end": "GENERATE_AUDIO_FAILED", "audio": "some:ever"},
            ["PENDING", "TEXT_SUCCESS", "FIRST_SUCCESS", "GENERATE_AUDIO_FAILED"],
        ),
    ],
)
def test_failing_task_has_no_first_track_unless_switched_on(
    switches: dict[str, str], statuses: list[str]
) -> None:
    client = Client(switches)
    task_id = client.create()
    seen = []
    for second in (0, 10, 27, 45):
        client.now = T0 + second
        seen.append(client.record(task_id)["status"])
    assert seen == statuses


# --- callbacks ---


def callbacks(
    client: Client, until_s: float = 2000, status: int | None = 200
) -> list[tuple[float, dict[str, Any]]]:
    seen = []
    start = client.now
    while client.now < start + until_s:
        client.now += 1
        for callback in client.emulator.due_callbacks(client.now):
            seen.append((client.now - start, json.loads(callback.request.body)))
            client.emulator.callback_answered(callback.id, status, client.now)
    return seen


def test_task_calls_back_at_each_of_three_stages() -> None:
    client = Client()
    task_id = client.create()
    seen = callbacks(client)
    assert [(after, body["data"]["callbackType"]) for after, body in seen] == [
        (10, "text"),
        (27, "first"),
        (45, "complete"),
    ]
    assert [len(body["data"]["data"]) for _, body in seen] == [0, 1, 2]
    assert {body["data"]["task_id"] for _, body in seen} == {task_id}
    track = seen[-1][1]["data"]["data"][0]
    assert {
        "audio_url",
        "source_audio_url",
        "stream_audio_url",
        "image_url",
        "model_name",
        "createTime",
    } <= set(track)


def test_failed_task_calls_back_once_with_its_code() -> None:
    client = Client(end="GENERATE_AUDIO_FAILED", error_code="400", error_message="no_way")
    client.create()
    ((after, body),) = callbacks(client)
    assert (after, body["code"], body["msg"]) == (45, 400, "no way")
    assert (body["data"]["callbackType"], body["data"]["data"]) == ("error", None)


def test_unanswered_callback_is_retried_three_times() -> None:
    client = Client(skip="text,first")
    client.create()
    assert [after for after, _ in callbacks(client, status=None)] == [45, 105, 405, 1305]
    client = Client(skip="text,first", speed=10)
    client.create()
    assert [after for after, _ in callbacks(client, status=500)] == [5, 11, 41, 131]


@pytest.mark.parametrize(
    ("switch", "stages"),
    [
        ("off", []),
        ("double", ["text", "text", "first", "first", "complete", "complete"]),
        ("reverse", ["complete", "first", "text"]),
    ],
)
def test_callbacks_switch_drops_doubles_or_reverses_callbacks(switch: str, stages: list[str]) -> None:
    client = Client(callbacks=switch)
    client.create()
    assert [body["data"]["callbackType"] for _, body in callbacks(client)] == stages


@pytest.mark.parametrize(
    ("shape", "keys"),
    [
        ("suno", {"callbackType", "task_id"}),
        ("market", {"taskId", "state", "resultJson"}),
        ("record", {"taskId", "status"}),
    ],
)
def test_callback_shape_switch_sets_the_shape_of_callbacks(shape: str, keys: set[str]) -> None:
    client = Client(callback_shape=shape)
    client.create()
    assert all(keys <= set(body["data"]) for _, body in callbacks(client))


def test_market_task_calls_back_in_the_markets_shape() -> None:
    client = Client()
    client.json("POST", MARKET_CREATE, {**market(), "callBackUrl": CALLBACK_URL})
    assert callbacks(client)[-1][1]["data"]["state"] == "success"


def test_no_callback_without_a_url_or_to_the_placeholder() -> None:
    client = Client()
    client.json("POST", MARKET_CREATE, market())
    client.create(callBackUrl="https://example.com/musicgate/no-receiver")
    assert callbacks(client) == []


@pytest.mark.parametrize(
    ("switch", "verified"), [("", True), ("unsigned", False), ("badsign", False), ("stale", False)]
)
def test_callbacks_are_signed_if_a_secret_is_set(switch: str, *, verified: bool) -> None:
    faults = {"callbacks": switch} if switch else {}
    client = Client(faults, secret="test-secret-not-real", skip="text,first")
    task_id = client.create()
    client.now += 45
    (callback,) = client.emulator.due_callbacks(client.now)
    timestamp = callback.request.headers.get("X-Webhook-Timestamp", "")
    digest = hmac.new(b"test-secret-not-real", f"{task_id}.{timestamp}".encode(), hashlib.sha256).digest()
    valid = callback.request.headers.get("X-Webhook-Signature") == base64.b64encode(digest).decode()
    assert (valid and timestamp == "1790000045") is verified
    assert callback.timeout_s == 15


# --- media ---


def finished(**switches: str) -> tuple[Client, dict[str, Any]]:
    client = Client(switches)
    task_id = client.create()
    client.now += 45
    return client, client.record(task_id)["response"]["sunoData"][0]


def test_audio_has_its_length_behind_each_link() -> None:
    client, track = finished()
    answer = client.get(track["audioUrl"])
    assert answer.header("content-type") == "audio/mpeg"
    assert answer.header("content-length") == str(len(answer.body))
    assert len(answer.body) == pytest.approx(track["duration"] * 16_000, rel=0.02)
    assert client.get(track["sourceAudioUrl"]).body == answer.body
    assert client.get(track["streamAudioUrl"]).body == answer.body
    assert client.get(track["imageUrl"]).body.startswith(b"\x89PNG")


def test_two_tracks_of_a_task_differ() -> None:
    client = Client(song_s="8,8")
    task_id = client.create()
    client.now += 45
    bodies = [client.get(track["audioUrl"]).body for track in client.record(task_id)["response"]["sunoData"]]
    assert bodies[0] != bodies[1]


def test_unfinished_audio_is_a_404_and_its_stream_is_empty() -> None:
    client = Client()
    task_id = client.create()
    client.now += 10
    track = client.record(task_id)["response"]["sunoData"][0]
    stream = client.get(track["streamAudioUrl"])
    assert (stream.status, stream.body) == (200, b"")
    assert client.get(f"{ORIGIN}/media/{track['id']}.mp3").status == 404


def test_links_expire_after_a_day() -> None:
    client, track = finished()
    client.now = T0 + 86_400
    assert client.get(track["audioUrl"]).status == 200
    client.now += 1
    assert client.get(track["audioUrl"]).status == 403


def test_audio_type_switch_sets_the_content_type() -> None:
    client, track = finished(audio_type="audio/mp3")
    assert client.get(track["audioUrl"]).header("content-type") == "audio/mp3"


@pytest.mark.parametrize(("fault", "status"), [("403", 403), ("404", 404), ("html", 200), ("empty", 200)])
def test_media_fault_fails_one_download(fault: str, status: int) -> None:
    client, track = finished(media=fault)
    faulty, whole = client.get(track["audioUrl"]), client.get(track["audioUrl"])
    assert faulty.status == status
    assert len(faulty.body) < 100
    assert len(whole.body) > 10_000


def test_media_fault_cuts_or_slows_a_download() -> None:
    client, track = finished(media="cut,slow", song_s="8,8")
    cut, slow = client.call("GET", track["audioUrl"]), client.call("GET", track["audioUrl"])
    assert cut.cut_after_bytes == len(cut.response.body) // 2
    assert slow.bytes_per_s == 20_000


def test_direct_link_expires_after_twenty_minutes() -> None:
    client, track = finished()
    link = client.json("POST", "/api/v1/common/download-url", {"url": track["audioUrl"]})["data"]
    client.now += 1200
    assert client.get(link).status == 200
    client.now += 1
    assert client.get(link).status == 403


@pytest.mark.parametrize("body", [{"url": "https://example.com/a.mp3"}, {"url": 3}, {}, [], b"{"])
def test_only_the_vendors_links_get_a_direct_link(body: object) -> None:
    assert Client().code("POST", "/api/v1/common/download-url", body)[0] == 422
