"""The emulator of kie.ai: its routes, envelope, switches, callbacks and links.

Keys that begin with ``sub-key-limit`` are refused with 433.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import ClassVar, Final

from musicgate.emulation import (
    Call,
    EmulatedAnswer,
    EmulatedVendor,
    EmulatorOptions,
    Kind,
    MediaFile,
    No,
    Rate,
    Switch,
    answer_bytes,
    answer_json,
    cover_png,
    digest,
    route,
)
from musicgate.emulation import switches as kinds
from musicgate.plugin import JsonObject, JsonValue
from musicgate.plugin.lenient import integer
from musicgate_suno_kie.callback import SIGNATURE
from musicgate_suno_kie.declaration import (
    CREDITS_PER_REQUEST,
    PLACEHOLDER_CALLBACK_URL,
    RETENTION_S,
    Dialect,
)
from musicgate_suno_kie.emulator_checks import refusal, song_of
from musicgate_suno_kie.emulator_task import SunoTask, snake_case
from musicgate_suno_kie.translate import LEGACY_CREATE, LEGACY_READ, MARKET_CREATE, MARKET_READ

#: Seen on the market route: no record just after creation. ASSUMED: the time.
MARKET_NULL_S: Final = 2.0
#: Life of a link from common/download-url. Source: docs.kie.ai/common-api/quickstart: 20 minutes.
SIGNED_LINK_S: Final = 1200

_TOO_OFTEN = "Your call frequency is too high, please try again later."
_NO_RECORD = "recordInfo is null"
_MESSAGES = {
    "text": "Text generated successfully.",
    "first": "First track generated successfully.",
    "complete": "All generated successfully.",
}
_CALLBACK_KINDS = {"TEXT_SUCCESS": "text", "FIRST_SUCCESS": "first", "SUCCESS": "complete"}


class SunoEmulator(EmulatedVendor[SunoTask]):
    """An emulated kie.ai."""

    name = "suno_kie"
    task_type = SunoTask
    credits = 10_000.0
    price = CREDITS_PER_REQUEST
    #: Source: kie.ai/getting-started: 20 new tasks per 10 s and account; refused, not queued.
    rate = Rate(20, 10.0)
    #: Source: docs.kie.ai/suno-api/get-music-details: at most three reads a second and task.
    polls_per_s = 3
    checks = ("key", "body", "request", "sub_key", "credits", "rate", "fault")
    delays_s = MappingProxyType({Kind.CREATE: 0.8, Kind.POLL: 0.2})
    media_paths = ("/media/", "/source/", "/stream/", "/image/")
    sign = SIGNATURE
    #: Source: docs.kie.ai/suno-api/generate-music-callbacks, one page version.
    retries_after_s = (60.0, 300.0, 900.0)
    refusals = MappingProxyType(
        {
            No.NO_KEY: (401, "You do not have access permissions"),
            No.BAD_KEY: (401, "You do not have access permissions"),
            No.UNREADABLE: (422, "The request body is not valid JSON"),
            No.NO_CREDITS: (402, "The current credits are insufficient. Please top up."),
            No.TOO_OFTEN: (429, _TOO_OFTEN),
        }
    )
    texts = MappingProxyType({429: _TOO_OFTEN, 430: _TOO_OFTEN})
    without = frozenset({"concurrent"})
    switches: ClassVar[tuple[Switch, ...]] = (
        kinds.CREATE.plus(no_id="accepted, and data has no id", data_empty="accepted, and data is a text"),
        kinds.POLL.plus(
            null_record="code 422, recordInfo is null",
            data_null="code 200, data is null",
        ),
        Switch("song_s", kinds.numbers("doc"), "seconds of the two tracks; doc: 198.44 and 228.28"),
        Switch("error_code", kinds.number(), "errorCode or failCode of a failed task (400, 408, 413, 531)"),
        Switch("error_message", kinds.text(), "its text; underscores become spaces"),
        Switch(
            "audio",
            kinds.script(
                {
                    "null": "no links",
                    "some": "only the first track has links",
                    "source": "only sourceAudioUrl",
                    "none": "no tracks",
                },
                takes_numbers=False,
            ),
            "the tracks in the polls after the end",
        ),
        Switch("skip", kinds.words("text", "first"), "stages that are skipped"),
        Switch(
            "waiting",
            kinds.word("response_null", "suno_data_null", "suno_data_empty"),
            "shape of a record without tracks",
        ),
        Switch("text_s", kinds.number(), "seconds until TEXT_SUCCESS (default 10)"),
        Switch("first_s", kinds.number(), "seconds until FIRST_SUCCESS (default 27)"),
        Switch("null_s", kinds.number(), "seconds after creation without a record (market 2, legacy 0)"),
        Switch(
            "unknown",
            kinds.word("live", "null_record"),
            "what the legacy route says about an unknown task: data null, as seen, or the market's 422",
        ),
        Switch("shape", kinds.word("live", "doc"), "doc: createTime as date text, no source links"),
        Switch(
            "result",
            kinds.word("text", "object", "broken", "response"),
            "market only, where the songs are: resultJson as text, as object, as broken text, or response",
        ),
        Switch("param", kinds.word("broken"), "the echoed request is not JSON"),
        Switch("envelope", kinds.word("msg", "message"), "the name of the envelope's text"),
        Switch("http_status", kinds.word("body_only", "real"), "real: the code is the HTTP status as well"),
        Switch("callback_shape", kinds.word("suno", "market", "record"), "shape of the callbacks"),
        Switch("legacy_v6", kinds.flag(), "1: the legacy route takes the V6 family"),
        Switch("audio_type", kinds.text("a media type"), "content type of audio (default audio/mpeg)"),
    )

    def __init__(self, options: EmulatorOptions) -> None:
        super().__init__(options)
        #: Track id -> its task, and its index.
        self._tracks: dict[str, tuple[SunoTask, int]] = {}

    def refuse(self, call: Call, code: int, text: str) -> EmulatedAnswer:
        """Make a refusal."""
        return self._answer(call, code, text)

    def no_route(self, call: Call) -> EmulatedAnswer:
        """Make the 404 of the vendor's framework."""
        return answer_json(404, {"status": 404, "error": "Not Found", "path": call.path})

    def no_task(self, call: Call) -> EmulatedAnswer:
        """Answer for a task without a record.

        Seen: 422 on the market's route only; code 200 and data null on the legacy one, April to August 2026.
        """
        if call.path == LEGACY_READ and call.switches.get("unknown") != "null_record":
            return self._answer(call, 200, "success")
        return self._answer(call, 422, _NO_RECORD)

    def check_request(self, call: Call) -> EmulatedAnswer | None:
        """Refuse a song that breaks one of the vendor's rules."""
        dialect = _dialect(call)
        refused = refusal(call.body, song_of(call.body, dialect), dialect, call.switches)
        return self.refuse(call, *refused) if refused else None

    def check_sub_key(self, call: Call) -> EmulatedAnswer | None:
        """Refuse a sub key at its limit."""
        at_limit = call.key.startswith("sub-key-limit")
        return self.refuse(call, 433, "The limit of this sub key is reached") if at_limit else None

    @route(f"POST {LEGACY_CREATE}", Kind.CREATE)
    @route(f"POST {MARKET_CREATE}", Kind.CREATE)
    def create(self, call: Call) -> EmulatedAnswer:
        """Accept a song."""
        dialect = _dialect(call)
        callback_url = str(call.body.get("callBackUrl") or "")
        task = self.accept(
            call,
            callback_url="" if callback_url == PLACEHOLDER_CALLBACK_URL else callback_url,
            dialect=dialect,
            song=song_of(call.body, dialect),
        )
        self._tracks |= {track_id: (task, index) for index, track_id in enumerate(task.track_ids())}
        data: JsonValue = {"no_id": {}, "data_empty": ""}.get(call.fault, {"taskId": task.id})
        return self._answer(call, 200, "success", data)

    def is_visible(self, task: SunoTask, call: Call) -> bool:
        """True in the task's own dialect, once it has a record."""
        null_s = task.switches.number("null_s", MARKET_NULL_S if task.dialect is Dialect.MARKET else 0.0)
        return task.dialect is _dialect(call) and call.now >= task.created_s + null_s / task.speed

    @route(f"GET {LEGACY_READ}", Kind.POLL, task="taskId")
    @route(f"GET {MARKET_READ}", Kind.POLL, task="taskId")
    def poll(self, call: Call, task: SunoTask) -> EmulatedAnswer:
        """Show a task's record."""
        match call.fault:
            case "null_record":
                return self._answer(call, 422, _NO_RECORD)
            case "data_null":
                return self._answer(call, 200, "success")
        record = task.market_record if task.dialect is Dialect.MARKET else task.legacy_record
        return self._answer(call, 200, "success", record(call.now, status=call.false_status or None))

    @route("GET /api/v1/chat/credit")
    @route("GET /api/v1/generate/credit")
    def credit(self, call: Call) -> EmulatedAnswer:
        """Show the balance of the account."""
        return self._answer(call, 200, "success", self.balance(call.key))

    @route("POST /api/v1/common/download-url")
    def download_url(self, call: Call) -> EmulatedAnswer:
        """Sign a direct link for one of the vendor's own links."""
        link = call.body.get("url")
        if not isinstance(link, str):
            return self._answer(call, 422, "Please enter url.")
        path = link.removeprefix(call.origin)
        if self._place(path) is None:
            return self._answer(call, 422, "The url was not generated by this service")
        signed = self.media.signed(path, call.now + SIGNED_LINK_S, signature="sig")
        return self._answer(call, 200, "success", call.origin + signed)

    def serve_media(self, call: Call) -> EmulatedAnswer:
        """Serve a song, its stream or its cover."""
        place = self._place(call.path)
        if place is None:
            return self.denied(404, "no such file")
        (task, index), folder = place, call.path.split("/")[1]
        until = integer(call.query.get("expires"))
        life_s = task.switches.number("link_s", RETENTION_S)
        expires_s = task.created_s + life_s if until is None else float(until)
        if until is not None and not self.media.is_signed(call, signature="sig"):
            return self.denied(403, "the signature is wrong")
        if folder == "image":
            cover = cover_png(task.track_ids()[index])
            return self.media.serve(
                call, MediaFile(content=cover, content_type="image/png", expires_s=expires_s)
            )
        if folder == "stream" and not _is_ready(task, index, call.now):
            # Seen: musicfile.kie.ai answers 200 with an empty body, 2026-08-28.
            return answer_bytes(200, "audio/mpeg", b"")
        file = MediaFile(
            length_s=task.lengths_s()[index],
            seed=int(digest(task.id, index)[:6], 16),
            switches=task.switches if folder == "media" else None,
            is_ready=lambda now: _is_ready(task, index, now),
            expires_s=expires_s,
            content_type=task.switches.get("audio_type", "audio/mpeg"),
        )
        return self.media.serve(call, file)

    def callback_stages(self, task: SunoTask) -> Sequence[tuple[float, str]]:
        """One callback per stage; a failing task calls back once."""
        stages = [(task.at_s(stage), stage) for stage in task.path()[1:]]
        return stages[-1:] if task.fails else stages

    def is_callback_taken(self, status: int) -> bool:
        """True for 200 alone."""
        return status == 200

    def callback(self, task: SunoTask, stage: str, now: float) -> JsonObject:
        """Make a callback. Which shape market tasks send is unknown; ASSUMED: the market's own."""
        is_market = task.dialect is Dialect.MARKET
        shape = task.switches.get("callback_shape") or ("market" if is_market else "suno")
        failed = task.fails and stage == "SUCCESS"
        code = (task.error_code or 501) if failed else 200
        if shape != "suno":
            record = task.legacy_record if shape == "record" else task.market_record
            return {"code": code, "msg": "success", "data": record(max(now, task.at_s(stage)))}
        kind = "error" if failed else _CALLBACK_KINDS[stage]
        tracks: list[JsonValue] = [snake_case(track) for track in task.tracks(task.at_s(stage))]
        shown = {"text": 0, "first": 1}.get(kind, len(tracks))
        data: JsonValue = None if failed else tracks[:shown]
        return {
            "code": code,
            "msg": task.error_message if failed else _MESSAGES[kind],
            "data": {"callbackType": kind, "task_id": task.id, "data": data},
        }

    def _answer(self, call: Call, code: int, text: str, data: JsonValue = None) -> EmulatedAnswer:
        """Wrap an answer in the envelope; HTTP 200 for every code, unless ``http_status`` is ``real``."""
        status = code if call.switches.get("http_status") == "real" else 200
        body: JsonObject = {"code": code, call.switches.get("envelope", "msg"): text, "data": data}
        return answer_json(status, body, content_type="application/json;charset=UTF-8")

    def _place(self, path: str) -> tuple[SunoTask, int] | None:
        parts = path.partition("?")[0].split("/")
        return self._tracks.get(parts[2].partition(".")[0]) if len(parts) == 3 else None


def _dialect(call: Call) -> Dialect:
    return Dialect.MARKET if call.path in {MARKET_CREATE, MARKET_READ} else Dialect.LEGACY


def _is_ready(task: SunoTask, index: int, now: float) -> bool:
    ready_s = task.at_s("FIRST_SUCCESS") if index == 0 else task.ends_at_s
    return now >= ready_s and not (task.fails and not task.keeps_first_track)
