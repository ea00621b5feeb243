"""The machine of all emulators, with the example of docs/emulation.md as its vendor."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest

from musicgate.assets import measure_bytes
from musicgate.emulation import (
    NEUTRAL,
    Auth,
    EmulatedAnswer,
    EmulatedVendor,
    EmulatorOptions,
    Signed,
    Switches,
)
from musicgate.emulation import switches as kinds
from musicgate.emulation.answers import read_call
from musicgate.emulation.callbacks import declared_signature
from musicgate.emulation.switches import markdown
from musicgate.errors import ConfigError
from musicgate.plugin import CallbackSignature, HttpRequest, SignatureEncoding
from tests.emulation.acme import acme

ORIGIN = "http://127.0.0.1:9000"
NOTIFY = "http://127.0.0.1:9001/cb"
T0 = 1_790_000_000.0


class Client:
    """A caller of the example vendor, with a key and a clock."""

    def __init__(self, options: EmulatorOptions | None = None, **switches: str) -> None:
        self.emulator: EmulatedVendor[Any] = acme()(options or EmulatorOptions(switches=switches))
        self.now, self.key = T0, "test-key-not-real"

    def call(self, method: str, path: str, body: object = None, **headers: str) -> EmulatedAnswer:
        content = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
        sent = {"X-Acme-Key": self.key, **headers}
        url = path if path.startswith("http") else ORIGIN + path
        return self.emulator.answer(HttpRequest(method=method, url=url, headers=sent, body=content), self.now)

    def create(self, prompt: str = "rain", **more: object) -> EmulatedAnswer:
        return self.call("POST", "/v1/songs", {"prompt": prompt, **more})

    def task(self, prompt: str = "rain", **more: object) -> str:
        return str(self.create(prompt, **more).response.json_object()["id"])

    def poll(self, task_id: str) -> EmulatedAnswer:
        return self.call("GET", f"/v1/songs/{task_id}")

    def status(self, task_id: str) -> str:
        return str(self.poll(task_id).response.json_object()["status"])

    def link(self, prompt: str = "rain") -> str:
        task_id = self.task(prompt)
        self.now += 25
        return str(self.poll(task_id).response.json_object()["audio"])


# --- accounts ---


@pytest.mark.parametrize(("key", "status"), [("", 401), ("bad-key", 401), ("no-credits", 402), ("any", 202)])
def test_key_prefix_selects_a_refusal(key: str, status: int) -> None:
    client = Client()
    client.key = key
    assert client.create().response.status == status
    assert len(client.emulator.books.creates) == (status == 202)


@pytest.mark.parametrize(("key", "status"), [("mine", 202), ("test-key-not-real", 401), ("bad", 401)])
def test_key_of_the_options_is_the_only_valid_one(key: str, status: int) -> None:
    client = Client(EmulatorOptions(key="mine"))
    client.key = key
    assert client.create().response.status == status


@pytest.mark.parametrize(
    ("auth", "value", "key"),
    [
        (Auth("X-Key"), "k", "k"),
        (Auth("xi-api-key"), " k ", "k"),
        (Auth("Authorization", "Bearer"), "Bearer k", "k"),
        (Auth("Authorization", "Bearer"), "Key k", ""),
        (Auth("Authorization", "Key"), "Key k", "k"),
    ],
)
def test_key_is_read_from_the_vendors_header(auth: Auth, value: str, key: str) -> None:
    assert auth.key_of({auth.header.lower(): value}) == key


@pytest.mark.parametrize(
    ("key", "status"), [("trial", 402), ("trial-over", 403), ("trial-over-1", 403), ("tria", 202)]
)
def test_longest_beginning_of_a_refused_key_counts(
    key: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acme(), "refused_keys", {"trial": (402, "a"), "trial-over": (403, "b")})
    monkeypatch.setattr(acme(), "checks", ("key", "account"))
    client = Client()
    client.key = key
    assert client.create().response.status == status


def test_credits_run_out_and_a_failed_song_is_refunded() -> None:
    client = Client(credits="11")
    failing = client.task("rain [emulate end=failed]")
    client.task()
    assert client.create().response.status == 402
    client.now += 25
    assert client.status(failing) == "failed"
    assert client.emulator.balance(client.key) == 6
    assert client.emulator.books.credits_charged[failing] == 0
    assert Client(credits="4.99").create().response.status == 402


def test_refund_switch_keeps_the_money() -> None:
    client = Client(end="failed", refund="off")
    client.task()
    client.now += 25
    client.emulator.due_callbacks(client.now)
    assert client.emulator.balance(client.key) == 95


def test_window_refuses_the_call_beyond_it_until_it_has_passed() -> None:
    client = Client(rate="2", concurrent="off")
    assert [client.create().response.status for _ in range(3)] == [202, 202, 429]
    client.now += 60
    assert client.create().response.status == 202
    assert {Client(rate="off", concurrent="off").create().response.status for _ in range(30)} == {202}


def test_songs_in_the_making_are_limited_until_they_end_or_are_cancelled() -> None:
    client = Client()
    ids = [client.task() for _ in range(4)]
    assert client.create().response.status == 429
    client.call("DELETE", f"/v1/songs/{ids[0]}")
    assert client.create().response.status == 202
    client.now += 25
    assert client.create().response.status == 202


# --- tasks ---


def test_task_goes_through_its_stages_at_any_speed() -> None:
    for speed in (1.0, 10.0):
        client = Client(EmulatorOptions(speed=speed))
        task_id = client.task()
        seen = []
        for second in (0, 4.9, 5, 24.9, 25):
            client.now = T0 + second / speed
            seen.append(client.status(task_id))
        assert seen == ["queued", "queued", "running", "running", "done"]


@pytest.mark.parametrize(
    ("stuck", "status"), [("1", "running"), ("queued", "queued"), ("gronked", "gronked")]
)
def test_stuck_task_never_ends(stuck: str, status: str) -> None:
    client = Client(stuck=stuck)
    task_id = client.task(notify=NOTIFY)
    client.now += 10_000
    assert client.status(task_id) == status
    assert client.emulator.due_callbacks(client.now) == []


def test_done_s_moves_all_stages_in_proportion() -> None:
    client = Client(done_s="100")
    task_id = client.task()
    client.now += 19.9
    assert client.status(task_id) == "queued"
    client.now = T0 + 99.9
    assert client.status(task_id) == "running"
    client.now = T0 + 100
    assert client.status(task_id) == "done"


def test_cancelled_task_has_no_audio_is_refunded_and_not_called_back() -> None:
    client = Client()
    task_id = client.task(notify=NOTIFY)
    assert client.call("DELETE", f"/v1/songs/{task_id}").response.json_object()["status"] == "cancelled"
    client.now += 25
    assert client.status(task_id) == "cancelled"
    assert client.call("GET", f"/media/{task_id}.mp3").response.status == 404
    assert client.emulator.due_callbacks(client.now) == []
    assert client.emulator.balance(client.key) == 100


def test_task_is_seen_by_its_account_only() -> None:
    client = Client()
    task_id = client.task()
    client.key = "another"
    assert client.poll(task_id).response.status == 404


# --- faults ---

#: Fault, HTTP status, dropped, cut, songs that are made.
CREATE_FAULTS = [
    ("429", 429, False, False, 0),
    ("html", 502, False, False, 0),
    ("html-503", 503, False, False, 0),
    ("empty", 200, False, False, 0),
    ("malformed", 200, False, False, 0),
    ("text", 200, False, False, 0),
    ("hangup", 200, True, False, 0),
    ("drop", 202, True, False, 1),
    ("cut", 202, False, True, 1),
    ("lost", 502, False, False, 1),
    ("made-html-500", 500, False, False, 1),
    ("made-empty", 200, False, False, 1),
    ("made-malformed", 200, False, False, 1),
    ("made-503", 503, False, False, 1),
    ("no_id", 202, False, False, 1),
]


@pytest.mark.parametrize(
    ("fault", "status", "drop", "cut", "made"), CREATE_FAULTS, ids=[row[0] for row in CREATE_FAULTS]
)
def test_create_fault_is_played_once(fault: str, status: int, *, drop: bool, cut: bool, made: int) -> None:
    client = Client(create=fault)
    answer = client.create()
    assert (answer.response.status, answer.drop, answer.cut_after_bytes is not None) == (status, drop, cut)
    assert (len(client.emulator.books.creates), client.emulator.balance(client.key)) == (made, 100 - 5 * made)
    again = client.create()
    assert (again.response.status, again.drop, again.cut_after_bytes) == (202, False, None)
    assert "id" in again.response.json_object()


@pytest.mark.parametrize("fault", ["made-malformed", "malformed"])
def test_malformed_answer_is_no_json(fault: str) -> None:
    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        json.loads(Client(create=fault).create().response.body)


@pytest.mark.parametrize(
    ("fault", "status"),
    [("503", 503), ("html", 502), ("empty", 200), ("missing", 404), ("drop", 200), ("cut", 200)],
)
def test_poll_and_cancel_faults_are_played(fault: str, status: int) -> None:
    for switch, method in (("poll", "GET"), ("cancel", "DELETE")):
        client = Client(EmulatorOptions(switches={switch: fault}))
        task_id = client.task()
        answer = client.call(method, f"/v1/songs/{task_id}")
        assert (answer.response.status, answer.drop) == (status, fault == "drop"), switch
        again = client.poll(task_id)
        assert (again.drop, again.response.json_object()["id"]) == (False, task_id)


@pytest.mark.parametrize("fault", ["drop", "cut", "malformed"])
def test_cancel_whose_answer_is_broken_was_still_done(fault: str) -> None:
    client = Client(cancel=fault)
    task_id = client.task()
    client.call("DELETE", f"/v1/songs/{task_id}")
    assert client.status(task_id) == "cancelled"


def test_false_status_lasts_one_poll() -> None:
    client = Client(poll="status-gronked")
    task_id = client.task()
    assert [client.status(task_id) for _ in range(2)] == ["gronked", "queued"]


@pytest.mark.parametrize(
    ("script", "seen"),
    [
        ("html", ["html", "", ""]),
        ("html:2,429", ["html", "html", "429"]),
        ("html,empty:ever", ["html", "empty", "empty"]),
    ],
)
def test_script_gives_one_fault_per_call(script: str, seen: list[str]) -> None:
    assert [Switches(NEUTRAL, {"poll": script}).step("poll", number) for number in range(3)] == seen


def test_global_script_counts_the_calls_of_an_account_and_one_in_a_marker_equal_bodies() -> None:
    client = Client(create="429")
    assert [client.create().response.status for _ in range(2)] == [429, 202]
    client.key = "another"
    assert client.create().response.status == 429
    client = Client()
    prompts = ["[emulate create=429]", "more [emulate create=429]"] * 2
    assert [client.create(prompt).response.status for prompt in prompts] == [429, 429, 202, 202]


def test_retry_after_switch_adds_the_header() -> None:
    response = Client(create="429", retry_after="7").create().response
    assert response.header("retry-after") == "7"


@pytest.mark.parametrize(
    ("marker", "status"),
    [
        ("create=402", 402),
        ("acme.create=402", 402),
        ("acme.create=402 create=429", 402),
        ("other.create=402", 202),
        ("gibberish=1", 202),
        ("create=gibberish", 202),
    ],
)
def test_marker_plays_what_the_vendor_knows_and_ignores_the_rest(marker: str, status: int) -> None:
    assert Client().create(f"rain [emulate {marker}]").response.status == status


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("gibberish", "1", "gibberish: no such switch; there are create, poll, cancel, media"),
        ("create", "gibberish", "create: 'gibberish' is not a script of a number, html"),
        ("create", "html:x", "create: 'html:x' is not"),
        ("create", "made-gibberish", "is not"),
        ("poll", "lost", "poll: 'lost' is not"),
        ("rate", "fast", "rate: 'fast' is not a number or off"),
        ("mood", "sad", "mood: 'sad' is not good, bad"),
        ("callbacks", "off,never", "is not one or more of off"),
        ("song_s", "3,x", "is not a number"),
        ("echo_key", "yes", "is not 1 or 0"),
    ],
)
def test_unknown_switch_or_value_stops_the_start(name: str, value: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Client(EmulatorOptions(switches={name: value}))
    assert message in str(caught.value)


def test_vendor_has_the_switches_of_the_parts_that_it_uses() -> None:
    class Blocking(EmulatedVendor[Any]):
        media_paths = ()
        without = frozenset({"concurrent"})

    assert list(acme().switch_table()) == [*NEUTRAL, "mood"]
    absent = {"poll", "cancel", "stuck", "end", "refund", "media", "link_s", "callbacks", "concurrent"}
    assert set(NEUTRAL) - set(Blocking.switch_table()) == absent


# --- media ---


def test_song_plays_and_has_its_length() -> None:
    client = Client(song_s="3")
    answer = client.call("GET", client.link())
    assert answer.response.header("content-length") == str(len(answer.response.body))
    assert measure_bytes(answer.response.body).duration_s == pytest.approx(3, abs=0.05)


@pytest.mark.parametrize(
    ("fault", "status", "length"),
    [("404", 404, 0), ("403", 403, 0), ("expired", 403, 0), ("empty", 200, 0), ("html", 200, 37)],
)
def test_media_fault_fails_one_download(fault: str, status: int, length: int) -> None:
    client = Client(media=fault)
    link = client.link()
    # HEAD does not use up the fault.
    assert client.call("HEAD", link).response.status == status
    faulty, whole = client.call("GET", link).response, client.call("GET", link).response
    assert (faulty.status, len(faulty.body)) == (status, length)
    assert (whole.status, len(whole.body) > 10_000) == (200, True)


def test_media_fault_cuts_slows_or_drops_a_download() -> None:
    client = Client(media="cut,slow,drop")
    link = client.link()
    cut, slow, dropped = (client.call("GET", link) for _ in range(3))
    assert cut.cut_after_bytes == len(cut.response.body) // 2
    assert slow.bytes_per_s == 20_000
    assert dropped.drop


@pytest.mark.parametrize(
    ("bounds", "status", "start", "end"),
    [
        ("bytes=0-9", 206, 0, 9),
        ("bytes=100-", 206, 100, -1),
        ("bytes=-10", 206, -10, -1),
        ("bytes=0-999999999", 206, 0, -1),
        ("bytes=999999999-", 416, 0, 0),
        ("bytes=a-b", 200, 0, -1),
        ("pages=1-2", 200, 0, -1),
    ],
)
def test_range_is_served(bounds: str, status: int, start: int, end: int) -> None:
    client = Client()
    link = client.link()
    whole = client.call("GET", link).response.body
    part = client.call("GET", link, Range=bounds).response
    first, last = start % len(whole), end % len(whole)
    assert part.status == status
    assert part.body == (b"" if status == 416 else whole[first : last + 1])
    if status == 206:
        assert part.header("content-range") == f"bytes {first}-{last}/{len(whole)}"


def test_file_is_there_from_the_end_of_its_task_until_its_link_expires() -> None:
    client = Client(link_s="60")
    task_id = client.task()
    path = f"/media/{task_id}.mp3"
    assert client.call("GET", path).response.status == 404
    for after_s, status in ((25, 200), (85, 200), (86, 403)):
        client.now = T0 + after_s
        assert client.call("GET", path).response.status == status


def test_signed_link_is_verified() -> None:
    host = Client().emulator.media
    path = host.signed("/media/a%2Fb.mp3", 100, expires="Expires", signature="Sig", key="k")
    assert path.startswith("/media/a%2Fb.mp3?Expires=100&key=k&Sig=%2B%2F")

    def is_signed(link: str) -> bool:
        call = read_call(HttpRequest(method="GET", url=ORIGIN + link), T0, Switches({}, {}), "", "")
        return host.is_signed(call, expires="Expires", signature="Sig")

    assert is_signed(path)
    assert not is_signed(path.replace("Expires=100", "Expires=101"))
    assert not is_signed(path.replace("%2B", "+"))
    assert not is_signed(path.replace("a%2Fb", "c"))


# --- callbacks ---


def due(client: Client, until_s: int = 400, status: int | None = None) -> list[int]:
    seen = []
    for second in range(until_s):
        for callback in client.emulator.due_callbacks(T0 + second):
            seen.append(second)
            client.emulator.callback_answered(callback.id, status, T0 + second)
    return seen


@pytest.mark.parametrize(("status", "seen"), [(200, [25]), (204, [25]), (500, [25, 85]), (None, [25, 85])])
def test_callback_that_is_not_taken_is_retried(status: int | None, seen: list[int]) -> None:
    client = Client()
    client.task(notify=NOTIFY)
    assert due(client, status=status) == seen


@pytest.mark.parametrize(("switch", "seen"), [("off", []), ("double", [25, 25])])
def test_callbacks_can_be_off_or_doubled(switch: str, seen: list[int]) -> None:
    client = Client(callbacks=switch)
    client.task(notify=NOTIFY)
    assert due(client, status=200) == seen


@pytest.mark.parametrize(
    ("switch", "expected"), [("", "right"), ("unsigned", None), ("badsign", "wrong"), ("stale", "right")]
)
def test_callback_is_signed(switch: str, expected: str | None) -> None:
    switches = {"callbacks": switch} if switch else {}
    client = Client(EmulatorOptions(webhook_secret="test-secret-not-real", switches=switches))
    client.task(notify=NOTIFY)
    (callback,) = client.emulator.due_callbacks(T0 + 25)
    right = hmac.new(b"test-secret-not-real", callback.request.body, hashlib.sha256).hexdigest()
    signature = callback.request.headers.get("X-Acme-Signature")
    assert expected == (None if signature is None else "right" if signature == right else "wrong")


def test_signature_covers_the_parts_in_their_form() -> None:
    signed = Signed(task_id="t", timestamp="12", body=b"{}", secret="s")
    sign = declared_signature(
        CallbackSignature(header="S", signed="{timestamp}:{body}", form="t={timestamp},v1={signature}")
    )
    mac = hmac.new(b"s", b"12:{}", hashlib.sha256).hexdigest()
    assert sign(signed) == {"S": f"t=12,v1={mac}"}
    by_id = declared_signature(
        CallbackSignature(
            header="S", signed="{native_id}", encoding=SignatureEncoding.BASE64, timestamp_header="T"
        )
    )
    id_mac = base64.b64encode(hmac.new(b"s", b"t", hashlib.sha256).digest()).decode()
    assert by_id(signed) == {"S": id_mac, "T": "12"}


# --- docs ---


def test_docs_list_the_neutral_switches() -> None:
    page = (Path(__file__).parents[2] / "docs" / "emulation.md").read_text("utf-8")
    assert markdown(NEUTRAL.values()) in page


def test_switch_kinds_state_their_values() -> None:
    assert kinds.number("off").shown == "a number or off"
    assert kinds.word("a", "b").shown == "a, b"


def test_faults_are_a_script_of_a_vendors_own_words_alone() -> None:
    values = kinds.faults(none="no tracks", some="one track")
    assert values.meanings == {"none": "no tracks", "some": "one track"}
    assert all(values.takes(script) for script in ("none", "some:2,none:ever"))
    assert not any(values.takes(script) for script in ("429", "html", "none,7"))
