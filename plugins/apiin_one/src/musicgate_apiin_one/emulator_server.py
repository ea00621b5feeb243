"""The emulator of apiin.one: its routes, checks, switches, errors, callbacks and links.

It uses nothing of the translation. Keys that begin with ``forbidden`` are refused with 403.
ASSUMED: the order of the checks, and that a field of the other generation is refused rather than ignored.
"""

import re
from typing import ClassVar, Final

import musicgate.emulation as emu
import musicgate.plugin as mg
from musicgate.emulation import switches as kinds
from musicgate.plugin import JsonObject, JsonValue, hookimpl
from musicgate_apiin_one.declaration import DESCRIPTION_MAX, MODELS, PAGE_TITLE_MAX, SunoModel
from musicgate_apiin_one.emulator_task import FAIL_TEXTS, Generation

#: Source: https://apiin.one/docs/suno/generate, 2026-02-24. ASSUMED: the texts of 403, 429 and 5xx.
_ERRORS: Final = {
    400: ("invalid_request", "Invalid parameters."),
    401: ("authentication_error", "Invalid or missing API key."),
    402: ("insufficient_credits", "Insufficient balance to perform generation."),
    403: ("permission_error", "This key may not call this route."),
    404: ("not_found", "Not found."),
    429: ("rate_limit_error", "Too many requests."),
    500: ("server_error", "Internal server error."),
    503: ("server_error", "Service unavailable."),
}
_MEDIA_PATH: Final = re.compile(r"/media/(?P<task>[0-9a-z]+)/(?P<index>[01])\.(?P<kind>mp3|png)")
_WEIGHTS: Final = ("style_weight", "weirdness_constraint", "audio_weight")
_DEFAULT_MODEL: Final = {"A": "suno-v3-5", "B": "chirp-v3-5", "any": "suno-v3-5"}
#: Switches of the vendor's own that take one of some words, and what each does.
_SHAPES: Final = {
    ("docs_gen", "any", "A", "B"): "generation of model names and fields that is accepted",
    ("feed_parameter", "any", "task_id", "workId"): "query parameter that the feed reads",
    ("create_shape", "plain", "overview", "envelope", "camel", "work_id"): (
        "shape of the create answer: task_id; id; code + data.task_id; code + msg + data.taskId; "
        "workId beside data"
    ),
    ("error_shape", "object", "code"): "{error: {code, message, type}} or {code, message}",
    ("error_http", "status", "200"): "errors come with their HTTP status, or inside HTTP 200",
    ("type_style", "in_progress", "success"): (
        "data.type is IN_PROGRESS until all is done, or SUCCESS from the text stage on"
    ),
    ("final_style", "complete", "first"): (
        "the last stage is complete, or stays first with the remark 'All generated successfully.'"
    ),
    ("duration_style", "number", "text", "unit", "late"): (
        "8, '8', '8 s'; late: empty text until all is done"
    ),
    ("failure", "all", "one", "error_message", "type"): (
        "fail_message on all items or on the second one; error_message on all; type FAILED"
    ),
    ("fail_text", "plain", "moderation"): "reason in the failure message",
    ("callback_shape", "list", "envelope", "envelope_with_id"): (
        "callbacks are a bare list, or the feed's envelope, with the task's id beside it"
    ),
}


def _offer(native: str, model: SunoModel) -> mg.Offer:
    """What is sold under a native name, with the limits of the generate page; the price is in credits.

    ASSUMED: lengths are counted in UTF-16 units.
    """
    longest = {"prompt": model.lyrics_chars, "style": model.style_chars, "title": PAGE_TITLE_MAX}
    texts = {**longest, "gpt_description_prompt": DESCRIPTION_MAX, "tags": None}
    fields = (
        *(mg.Text(name, max_chars=most, unit=mg.TextUnit.UTF16) for name, most in texts.items()),
        mg.Flag("make_instrumental"),
        mg.Choice("gender", choices=("male", "female")),
        *(mg.Number(name, minimum=0, maximum=1) for name in _WEIGHTS),
    )
    price = mg.PriceRule.per_song(str(model.credits))
    return mg.Offer(model=model.ids[0], native_model=native, fields=fields, prices=(price,))


#: Native name -> generation and offer.
_OFFERS: Final = {
    native: (generation, _offer(native, model))
    for model in MODELS
    for generation, natives in model.native.items()
    for native in natives
}


@hookimpl
def emulator(options: emu.EmulatorOptions) -> emu.Emulator:
    """Make an emulator of apiin.one."""
    return ApiinEmulator(options)


class ApiinEmulator(emu.EmulatedVendor[Generation]):
    """An emulated apiin.one."""

    name = "apiin_one"
    task_type = Generation
    credits = 1000.0
    #: No limit is documented; the switch ``rate`` counts in this window.
    rate = emu.Rate(float("inf"), 10.0)
    checks = ("key", "account", "body", "limits", "request", "fault", "rate", "credits")
    delays_s: ClassVar = {emu.Kind.CREATE: 0.3, emu.Kind.POLL: 0.3}
    slow_bytes_per_s = 40_000.0
    texts: ClassVar = {code: text for code, (_, text) in _ERRORS.items()}
    refusals: ClassVar = {
        emu.No.UNREADABLE: (400, "The body must be a JSON object."),
        emu.No.NO_TASK: (404, "Task not found."),
    }
    refused_keys: ClassVar = {"forbidden": (403, "")}
    broken_limits: ClassVar = {
        "max_chars": (400, "{name} must not exceed {limit} characters"),
        **dict.fromkeys(("minimum", "maximum"), (400, "{name} must be between {minimum} and {maximum}")),
    }
    calls_at_each_stage = True  # no retry is documented
    without = frozenset({"end", "concurrent", "link_s"})
    switches = (
        kinds.CREATE.plus(
            moderation="refused for its text",
            empty_500="HTTP 500 without a body",
            no_id="accepted, and the answer has no id",
        ),
        kinds.POLL.plus(code_429="HTTP 200 around code 429"),
        *(emu.Switch(name, kinds.word(*words), meaning) for (name, *words), meaning in _SHAPES.items()),
    )

    def refuse(self, call: emu.Call, code: int, text: str) -> emu.EmulatedAnswer:
        """Make an error in the shape of the switches."""
        kind, default = _ERRORS.get(code, ("server_error", text))
        body: JsonObject = {"code": code, "message": text or default}
        if call.switches.get("error_shape") != "code":
            body = {"error": {**body, "type": kind}}
        return emu.answer_json(200 if call.switches.get("error_http") == "200" else code, body)

    def no_route(self, call: emu.Call) -> emu.EmulatedAnswer:
        """Make the 404 of an unknown route; no switch changes its shape."""
        kind, text = _ERRORS[404]
        return emu.answer_json(404, {"error": {"code": 404, "message": text, "type": kind}})

    def denied(self, status: int, why: str) -> emu.EmulatedAnswer:
        """Make the answer of the file host; an expired link is gone."""
        if why == "expired":
            return emu.answer_bytes(410, "text/plain", b"gone")
        return emu.answer_bytes(status, "application/xml", b"<Error><Code>AccessDenied</Code></Error>")

    def offer_of(self, call: emu.Call) -> mg.Offer | None:
        """What a create call asks for, in a generation that is accepted."""
        generation, offer = _OFFERS.get(str(_model(call)), ("", None))
        return offer if _generation(call) in {generation, "any"} else None

    def check_request(self, call: emu.Call) -> emu.EmulatedAnswer | None:
        """Refuse a body that breaks a rule which no declared field has."""
        body = call.body
        custom, idea = body.get("prompt"), body.get("gpt_description_prompt")
        unknown = [name for name in ("gender", *_WEIGHTS) if name in body and _generation(call) == "A"]
        if self.offer_of(call) is None:
            text = f"model: {_model(call)!r} is not supported"
        elif not str(body.get("callback_url", "http://")).startswith(("http://", "https://")):
            text = "callback_url must be a URL"
        elif unknown:
            text = f"unknown field {unknown[0]}"
        elif custom is not None and idea is not None:
            text = "use either prompt or gpt_description_prompt"
        elif not custom and not idea:
            text = "prompt or gpt_description_prompt is required"
        else:
            return None
        return self.refuse(call, 400, text)

    def check_parameter(self, call: emu.Call) -> emu.EmulatedAnswer | None:
        """Refuse a call of the feed without the id of a task."""
        accepted = call.switches.get("feed_parameter", "any")
        names = ("task_id", "workId") if accepted == "any" else (accepted,)
        task_id = next((call.query[name] for name in names if name in call.query), None)
        call.query = {"task_id": task_id or ""}
        return self.refuse(call, 400, "task_id is required.") if task_id is None else None

    @emu.route("POST /api/v1/audio/music", emu.Kind.CREATE)
    def create(self, call: emu.Call) -> emu.EmulatedAnswer:
        """Accept a song."""
        if call.fault == "moderation":
            return self.refuse(call, 400, FAIL_TEXTS["moderation"])
        if call.fault == "empty_500":
            return emu.answer_bytes(500, "application/json", b"")
        task = self.accept(
            call,
            task_id=f"gen{self.digest(len(self.tasks), call.raw.hex())[:18]}ksv",
            callback_url=str(call.body.get("callback_url") or ""),
            model=str(_model(call)),
        )
        return emu.answer_json(200, _created(task, call.fault))

    @emu.route(
        "GET /api/v1/audio/music/feed", emu.Kind.POLL, task="task_id", checks=("key", "account", "parameter")
    )
    def feed(self, call: emu.Call, task: Generation) -> emu.EmulatedAnswer:
        """Show a task."""
        if call.fault == "code_429":
            return emu.answer_json(200, {"code": 429, "message": _ERRORS[429][1]})
        return emu.answer_json(200, task.feed(task.status(call.now), call.false_status))

    def serve_media(self, call: emu.Call) -> emu.EmulatedAnswer:
        """Serve a file of the file host; a path that it does not know is an unknown route."""
        return self.no_route(call) if self.file_at(call) is None else super().serve_media(call)

    def file_at(self, call: emu.Call) -> emu.MediaFile | None:
        """A cover, or a song: until it is done, the first third of it."""
        found = _MEDIA_PATH.fullmatch(call.path)
        task = self.tasks.get(found["task"]) if found else None
        if found is None or task is None:
            return None
        if found["kind"] == "png":
            return emu.MediaFile(content=emu.cover_png(task.title()), content_type="image/png")
        index = int(found["index"])
        length_s = task.song_s(index) / (1 if task.status(call.now) == "complete" else 3)
        return emu.MediaFile(length_s=length_s, seed=task.dice(index), switches=task.switches)

    def callback(self, task: Generation, stage: str, now: float) -> JsonValue:
        """Build a callback: a bare list without the task's id, or the feed's envelope."""
        reached = task.status(task.at_s(stage))
        shape = task.switches.get("callback_shape", "list")
        if shape == "list":
            return task.items(reached)
        named = {"task_id": task.id} if shape == "envelope_with_id" else {}
        return {**named, **task.feed(reached)}


def _generation(call: emu.Call) -> str:
    return call.switches.get("docs_gen", "any")


def _model(call: emu.Call) -> JsonValue:
    return call.body.get("model", _DEFAULT_MODEL[_generation(call)])


def _created(task: Generation, fault: str) -> JsonObject:
    """Build the body of a create answer, in one of the five shapes that occur."""
    done: JsonObject = {"code": 200, "message": "success"}
    pending: JsonObject = {"status": "pending", "model": task.model, "created_at": task.time()}
    if fault == "no_id":
        return {**done, "data": {"status": "IN_PROGRESS"}}
    shapes: dict[str, JsonObject] = {
        "envelope": {**done, "data": {"task_id": task.id, "status": "IN_PROGRESS"}},
        "camel": {"code": 200, "msg": "success", "data": {"taskId": task.id}},
        "work_id": {**done, "workId": task.id, "data": {"task_id": task.id}},
        "overview": {"id": task.id, **pending},
    }
    return shapes.get(task.switches.get("create_shape"), {"task_id": task.id, **pending})
