"""The emulator of kie.ai: its routes, envelope, checks, switches, callbacks and links."""

from collections.abc import Sequence
from typing import ClassVar, Final

import attrs

import musicgate.emulation as emu
from musicgate.emulation import Switch
from musicgate.emulation import switches as kinds
from musicgate.plugin import EmulatorOptions, FieldViolation, JsonObject, JsonValue, is_blank
from musicgate.plugin.lenient import mapping, url
from musicgate_suno_kie import declaration, translate
from musicgate_suno_kie.emulator_task import SunoTask, snake_case_keys

#: Seen on the market route: no record just after creation. ASSUMED: the time.
MARKET_NULL_S: Final = 2.0
#: Life of a link from common/download-url. Source: docs.kie.ai/common-api/quickstart: 20 minutes.
SIGNED_LINK_S: Final = 1200

_LEGACY_SPELLING: Final = {snake: camel for camel, snake in translate.MARKET_SPELLING.items()}
_TOO_OFTEN: Final = "Your call frequency is too high, please try again later."
_NO_RECORD: Final = "recordInfo is null"
#: Stage -> ``callbackType``, number of tracks and text of its callback.
_CALLBACKS: Final = {
    "TEXT_SUCCESS": ("text", 0, "Text generated successfully."),
    "FIRST_SUCCESS": ("first", 1, "First track generated successfully."),
    "SUCCESS": ("complete", 2, "All generated successfully."),
}


class SunoEmulator(emu.EmulatedVendor[SunoTask]):
    """An emulated kie.ai."""

    provider = declaration.PROVIDER
    task_type = SunoTask
    credits = 10_000.0
    price = declaration.CREDITS_PER_REQUEST
    #: Source: docs.kie.ai/suno-api/get-music-details: at most three reads a second and task.
    polls_per_s = 3
    checks = ("key", "body", "request", "limits", "account", "credits", "rate", "fault")
    delays_s: ClassVar = {emu.Kind.CREATE: 0.8, emu.Kind.POLL: 0.2}
    media_paths = ("/media/", "/source/", "/stream/", "/image/")
    calls_at_each_stage = True
    #: Source: docs.kie.ai/suno-api/generate-music-callbacks, one page version.
    retries_after_s = (60.0, 300.0, 900.0)
    refusals: ClassVar = {
        emu.No.NO_KEY: (401, "You do not have access permissions"),
        emu.No.BAD_KEY: (401, "You do not have access permissions"),
        emu.No.UNREADABLE: (422, "The request body is not valid JSON"),
        emu.No.NO_CREDITS: (402, "The current credits are insufficient. Please top up."),
        emu.No.TOO_OFTEN: (429, _TOO_OFTEN),
    }
    refused_keys: ClassVar = {"sub-key-limit": (433, "The limit of this sub key is reached")}
    #: Seen: validation errors under code 500, with these texts; "Please enter ..." for callBackUrl, since
    #: 2026-06-11, and negativeTags. ASSUMED: the texts of ranges, steps and types.
    broken_limits: ClassVar = {
        "required": (422, "Please enter {name}."),
        "needs": (422, "Please enter {limit}."),
        "max_chars": (422, "The {name} cannot exceed {limit} characters"),
        "minimum": (422, "{name} must be between {minimum} and {maximum}"),
        "maximum": (422, "{name} must be between {minimum} and {maximum}"),
        "step": (422, "{name} must be a multiple of {limit}"),
        "max_items": (422, "{name} takes at most {limit} links"),
        "choices": (500, "{name} is not within the range of allowed options"),
        "type": (422, "{name} has the wrong type"),
    }
    texts: ClassVar = {429: _TOO_OFTEN, 430: _TOO_OFTEN}
    without = frozenset({"concurrent"})
    switches = (
        kinds.CREATE.plus(no_id="accepted, and data has no id", data_empty="accepted, and data is a text"),
        kinds.POLL.plus(null_record="code 422, recordInfo is null", data_null="code 200, data is null"),
        Switch("song_s", kinds.numbers("doc"), "seconds of the two tracks; doc: 198.44 and 228.28"),
        Switch("error_code", kinds.number(), "errorCode or failCode of a failed task (400, 408, 413, 531)"),
        Switch("error_message", kinds.text(), "its text; underscores become spaces"),
        Switch(
            "audio",
            kinds.faults(
                null="no links", some="links of one track", source="only sourceAudioUrl", none="no tracks"
            ),
            "the tracks in the polls after the end",
        ),
        Switch("skip", kinds.words("text", "first"), "stages that are skipped"),
        Switch(
            "waiting",
            kinds.word("response_null", "suno_data_null", "suno_data_empty"),
            "a record without tracks",
        ),
        Switch("text_s", kinds.number(), "seconds until TEXT_SUCCESS (default 10)"),
        Switch("first_s", kinds.number(), "seconds until FIRST_SUCCESS (default 27)"),
        Switch("null_s", kinds.number(), "seconds after creation without a record (market 2, legacy 0)"),
        Switch(
            "unknown", kinds.word("live", "null_record"), "an unknown legacy task: data null, as seen, or 422"
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

    def refuse(self, call: emu.Call, code: int, text: str) -> emu.EmulatedAnswer:
        """Make a refusal."""
        return self._answer(call, None, code, text)

    def _answer(
        self, call: emu.Call, data: JsonValue, code: int = 200, text: str = "success"
    ) -> emu.EmulatedAnswer:
        """Wrap an answer in the envelope; HTTP 200 for every code, unless ``http_status`` is ``real``."""
        status = code if call.switches.get("http_status") == "real" else 200
        body: JsonObject = {"code": code, call.switches.get("envelope", "msg"): text, "data": data}
        return emu.answer_json(status, body, content_type="application/json;charset=UTF-8")

    def no_route(self, call: emu.Call) -> emu.EmulatedAnswer:
        """Make the 404 of the vendor's framework."""
        return emu.answer_json(404, {"status": 404, "error": "Not Found", "path": call.path})

    def no_task(self, call: emu.Call) -> emu.EmulatedAnswer:
        """Answer for a task without a record.

        Seen: 422 on the market's route only; code 200 and data null on the legacy one, April to August 2026.
        """
        if call.path == translate.LEGACY_READ and call.switches.get("unknown") != "null_record":
            return self._answer(call, None)
        return self.refuse(call, 422, _NO_RECORD)

    def native_of(self, call: emu.Call) -> JsonObject:
        """The song in the legacy spelling. Lyrics win over a prompt, and a blank text is as good as none."""
        market = _is_market(call)
        given, spelling = (mapping(call.body.get("input")), _LEGACY_SPELLING) if market else (call.body, {})
        song: dict[str, JsonValue] = {
            spelling.get(name, name): None if isinstance(value, str) and is_blank(value) else value
            for name, value in given.items()
        }
        sings_lyrics = market and song.get("customMode") is True and song.get("lyrics")
        return {**song, "prompt": song["lyrics"]} if sings_lyrics else song

    def check_request(self, call: emu.Call) -> emu.EmulatedAnswer | None:
        """Refuse what the fields do not say: no callback URL, no flag, another model, links when sung."""
        song, market, callback_url = self.native_of(call), _is_market(call), call.body.get("callBackUrl")
        if not url(callback_url) and not (market and callback_url is None):
            return self.refuse(call, 422, "Please enter callBackUrl.")
        if market and call.body.get("model") != translate.MARKET_MODEL:
            return self.refuse(call, 422, "The model name you specified is not supported.")
        model = song.get("model")
        if not isinstance(model, str):
            return self.refuse(call, 500, "model: This field is required")
        # ASSUMED: the legacy route refuses the V6 family; no source mentions it.
        too_new = model.startswith("V6") and not market and not call.switches.is_on("legacy_v6")
        if too_new or model not in declaration.PUBLIC_IDS:
            return self.refuse(call, 500, "model is not within the range of allowed options")
        for flag in ("customMode", "instrumental"):
            if not isinstance(song.get(flag), bool):
                return self.refuse(call, 500, f"{flag}: This field is required")
        # Source: docs.kie.ai/market, 2026-10-07. ASSUMED: refused, not ignored.
        misplaced = [name for name in declaration.LINKS if market and song["customMode"] and song.get(name)]
        return self.refuse(call, 422, f"{misplaced[0]} is not allowed in custom mode") if misplaced else None

    def violations(self, call: emu.Call) -> Sequence[FieldViolation]:
        """The market's pages require the two flags and the model, and nothing else, October 2026."""
        broken = super().violations(call)
        return [one for one in broken if one.rule != "required" or not _is_market(call)]

    @emu.route(f"POST {translate.LEGACY_CREATE}", emu.Kind.CREATE)
    @emu.route(f"POST {translate.MARKET_CREATE}", emu.Kind.CREATE)
    def create(self, call: emu.Call) -> emu.EmulatedAnswer:
        """Accept a song."""
        given = str(call.body.get("callBackUrl") or "")
        callback_url = "" if given == declaration.PLACEHOLDER_CALLBACK_URL else given
        task = self.accept(
            call, callback_url=callback_url, is_market=_is_market(call), song=self.native_of(call)
        )
        self._tracks |= {track_id: (task, index) for index, track_id in enumerate(task.track_ids())}
        data: JsonValue = {"no_id": {}, "data_empty": ""}.get(call.fault, {"taskId": task.id})
        return self._answer(call, data)

    def is_visible(self, task: SunoTask, call: emu.Call) -> bool:
        """True in the task's own dialect, once it has a record."""
        null_s = task.switches.number("null_s", MARKET_NULL_S if task.is_market else 0.0)
        return task.is_market is _is_market(call) and call.now >= task.created_s + null_s / task.speed

    @emu.route(f"GET {translate.LEGACY_READ}", emu.Kind.POLL, task="taskId")
    @emu.route(f"GET {translate.MARKET_READ}", emu.Kind.POLL, task="taskId")
    def poll(self, call: emu.Call, task: SunoTask) -> emu.EmulatedAnswer:
        """Show a task's record."""
        if call.fault == "null_record":
            return self.refuse(call, 422, _NO_RECORD)
        record = task.market_record if task.is_market else task.legacy_record
        return self._answer(call, None if call.fault == "data_null" else record(call.now, call.false_status))

    @emu.route("GET /api/v1/chat/credit")
    @emu.route("GET /api/v1/generate/credit")
    def credit(self, call: emu.Call) -> emu.EmulatedAnswer:
        """Show the balance of the account."""
        return self._answer(call, self.balance(call.key))

    @emu.route("POST /api/v1/common/download-url")
    def download_url(self, call: emu.Call) -> emu.EmulatedAnswer:
        """Sign a direct link for one of the vendor's own links."""
        link = call.body.get("url")
        if not isinstance(link, str):
            return self.refuse(call, 422, "Please enter url.")
        path = link.removeprefix(call.origin).partition("?")[0]
        if self._track_at(path) is None:
            return self.refuse(call, 422, "The url was not generated by this service")
        signed = self.media.signed(path, call.now + SIGNED_LINK_S, signature="sig")
        return self._answer(call, call.origin + signed)

    def file_at(self, call: emu.Call) -> emu.MediaFile | None:
        """Make a song, its stream or its cover."""
        found = self._track_at(call.path)
        if found is None:
            return None
        (task, index), folder, until = found, call.path.split("/")[1], call.query.get("expires")
        expires_s = task.created_s + task.switches.number("link_s", declaration.RETENTION_S)
        if until is not None:  # a forged link is as good as an expired one
            expires_s = float(until) if self.media.is_signed(call, signature="sig") else 0.0
        song = emu.MediaFile(
            length_s=task.lengths_s()[index],
            seed=int(emu.digest(task.id, index)[:6], 16),
            switches=task.switches if folder == "media" else None,
            is_ready=lambda now: task.is_ready(index, now),
            expires_s=expires_s,
            content_type=task.switches.get("audio_type", "audio/mpeg"),
        )
        if folder == "image":
            cover = emu.cover_png(task.track_ids()[index])
            return emu.MediaFile(content=cover, content_type="image/png", expires_s=expires_s)
        if folder == "stream" and not task.is_ready(index, call.now):
            # Seen: musicfile.kie.ai answers 200 with an empty body, 2026-08-28.
            return attrs.evolve(song, content=b"", is_ready=None)
        return song

    def _track_at(self, path: str) -> tuple[SunoTask, int] | None:
        parts = path.split("/")
        return self._tracks.get(parts[2].partition(".")[0]) if len(parts) == 3 else None

    def callback_stages(self, task: SunoTask) -> Sequence[tuple[float, str]]:
        """One callback per stage; a failing task calls back once."""
        stages = super().callback_stages(task)
        return stages[-1:] if task.fails else stages

    def is_callback_taken(self, status: int) -> bool:
        """True for 200 alone."""
        return status == 200

    def callback(self, task: SunoTask, stage: str, now: float) -> JsonObject:
        """Make a callback. Which shape market tasks send is unknown; ASSUMED: the market's own."""
        shape = task.switches.get("callback_shape") or ("market" if task.is_market else "suno")
        failed = task.fails and stage == "SUCCESS"
        error_code, error_text = task.failure()
        code = (error_code or 501) if failed else 200
        if shape != "suno":
            record = task.legacy_record if shape == "record" else task.market_record
            return {"code": code, "msg": "success", "data": record(max(now, task.at_s(stage)))}
        kind, count, message = _CALLBACKS[stage]
        if failed:
            kind, message = "error", error_text
        tracks: list[JsonValue] = [snake_case_keys(track) for track in task.tracks(task.at_s(stage))[:count]]
        data: JsonObject = {"callbackType": kind, "task_id": task.id, "data": None if failed else tracks}
        return {"code": code, "msg": message, "data": data}


def _is_market(call: emu.Call) -> bool:
    return call.path in {translate.MARKET_CREATE, translate.MARKET_READ}
