"""The emulator of apiin.one: its routes, switches, errors, callbacks and links.

It uses nothing of the translation. Keys that begin with ``forbidden`` are refused with 403.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from musicgate.emulation import (
    Call,
    EmulatedAnswer,
    EmulatedVendor,
    Kind,
    MediaFile,
    No,
    Rate,
    Switch,
    answer_bytes,
    answer_json,
    cover_png,
    route,
)
from musicgate.emulation import switches as kinds
from musicgate.plugin import JsonObject, JsonValue, hookimpl
from musicgate_apiin_one import emulator_checks
from musicgate_apiin_one.emulator_task import FAIL_TEXTS, Generation, Stage, iso

if TYPE_CHECKING:
    from musicgate.emulation import Emulator, EmulatorOptions

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


@hookimpl
def emulator(options: EmulatorOptions) -> Emulator:
    """Make an emulator of apiin.one."""
    return ApiinEmulator(options)


class ApiinEmulator(EmulatedVendor[Generation]):
    """An emulated apiin.one."""

    name = "apiin_one"
    task_type = Generation
    credits = 1000.0
    #: No limit is documented; the switch ``rate`` counts in this window.
    rate = Rate(float("inf"), 10.0)
    checks = ("key", "body", "request", "fault", "rate", "credits")
    delays_s = MappingProxyType({Kind.CREATE: 0.3, Kind.POLL: 0.3})
    slow_bytes_per_s = 40_000.0
    refusals = MappingProxyType(
        {
            No.NO_KEY: (401, _ERRORS[401][1]),
            No.BAD_KEY: (401, _ERRORS[401][1]),
            No.UNREADABLE: (400, "The body must be a JSON object."),
            No.NO_CREDITS: (402, _ERRORS[402][1]),
            No.TOO_OFTEN: (429, _ERRORS[429][1]),
            No.NO_TASK: (404, "Task not found."),
        }
    )
    texts = MappingProxyType({code: text for code, (_, text) in _ERRORS.items()})
    without = frozenset({"end", "concurrent", "link_s"})
    switches = (
        kinds.CREATE.plus(
            moderation="refused for its text",
            empty_500="HTTP 500 without a body",
            no_id="accepted, and the answer has no id",
        ),
        kinds.POLL.plus(code_429="HTTP 200 around code 429"),
        Switch(
            "docs_gen", kinds.word("any", "A", "B"), "generation of model names and fields that is accepted"
        ),
        Switch(
            "feed_parameter", kinds.word("any", "task_id", "workId"), "query parameter that the feed reads"
        ),
        Switch(
            "create_shape",
            kinds.word("plain", "overview", "envelope", "camel", "work_id"),
            "shape of the create answer: task_id; id; code + data.task_id; code + msg + data.taskId; "
            "workId beside data",
        ),
        Switch(
            "error_shape", kinds.word("object", "code"), "{error: {code, message, type}} or {code, message}"
        ),
        Switch(
            "error_http",
            kinds.word("status", "200"),
            "errors come with their HTTP status, or inside HTTP 200",
        ),
        Switch(
            "type_style",
            kinds.word("in_progress", "success"),
            "data.type is IN_PROGRESS until all is done, or SUCCESS from the text stage on",
        ),
        Switch(
            "final_style",
            kinds.word("complete", "first"),
            "the last stage is complete, or stays first with the remark 'All generated successfully.'",
        ),
        Switch(
            "duration_style",
            kinds.word("number", "text", "unit", "late"),
            "8, '8', '8 s'; late: empty text until all is done",
        ),
        Switch(
            "failure",
            kinds.word("all", "one", "error_message", "type"),
            "fail_message on all items or on the second one; error_message on all; type FAILED",
        ),
        Switch("fail_text", kinds.word("plain", "moderation"), "reason in the failure message"),
        Switch(
            "callback_shape",
            kinds.word("list", "envelope", "envelope_with_id"),
            "callbacks are a bare list, or the feed's envelope, with the task's id beside it",
        ),
    )

    def refuse(self, call: Call, code: int, text: str) -> EmulatedAnswer:
        """Make an error in the shape of the switches."""
        kind, default = _ERRORS.get(code, ("server_error", text))
        body: JsonObject = {"code": code, "message": text or default}
        if call.switches.get("error_shape") != "code":
            body = {"error": {**body, "type": kind}}
        return answer_json(200 if call.switches.get("error_http") == "200" else code, body)

    def no_route(self, call: Call) -> EmulatedAnswer:
        """Make the 404 of an unknown route; no switch changes its shape."""
        kind, text = _ERRORS[404]
        return answer_json(404, {"error": {"code": 404, "message": text, "type": kind}})

    def denied(self, status: int, why: str) -> EmulatedAnswer:
        """Make the answer of the file host; an expired link is gone."""
        if why == "expired":
            return answer_bytes(410, "text/plain", b"gone")
        return answer_bytes(status, "application/xml", b"<Error><Code>AccessDenied</Code></Error>")

    def check_key(self, call: Call) -> EmulatedAnswer | None:
        """Refuse a key that is not valid here."""
        forbidden = self.refuse(call, 403, "")
        return super().check_key(call) or (forbidden if call.key.startswith("forbidden") else None)

    def check_request(self, call: Call) -> EmulatedAnswer | None:
        """Refuse a body that breaks one of the vendor's rules."""
        text = emulator_checks.find_error(call.body, _model(call), _generation(call))
        return None if text is None else self.refuse(call, 400, text)

    def check_parameter(self, call: Call) -> EmulatedAnswer | None:
        """Refuse a call of the feed without the id of a task."""
        accepted = call.switches.get("feed_parameter", "any")
        names = ("task_id", "workId") if accepted == "any" else (accepted,)
        task_id = next((call.query[name] for name in names if name in call.query), None)
        call.query = {"task_id": task_id or ""}
        return self.refuse(call, 400, "task_id is required.") if task_id is None else None

    def price_of(self, call: Call) -> float:
        """Return the credits of the model."""
        return emulator_checks.prices(_generation(call))[_model(call)]

    @route("POST /api/v1/audio/music", Kind.CREATE)
    def create(self, call: Call) -> EmulatedAnswer:
        """Accept a song."""
        if call.fault == "moderation":
            return self.refuse(call, 400, FAIL_TEXTS["moderation"])
        if call.fault == "empty_500":
            return answer_bytes(500, "application/json", b"")
        task = self.accept(
            call,
            task_id=f"gen{self.digest(len(self.tasks), call.raw.hex())[:18]}ksv",
            callback_url=str(call.body.get("callback_url") or ""),
            model=_model(call),
        )
        return answer_json(200, _created(task, call.fault))

    @route("GET /api/v1/audio/music/feed", Kind.POLL, task="task_id", checks=("key", "parameter"))
    def feed(self, call: Call, task: Generation) -> EmulatedAnswer:
        """Show a task."""
        if call.fault == "code_429":
            return answer_json(200, {"code": 429, "message": _ERRORS[429][1]})
        return answer_json(200, task.feed(task.stage(call.now), call.origin, call.false_status))

    def serve_media(self, call: Call) -> EmulatedAnswer:
        """Serve a cover, or a song: until it is done, the first third of it."""
        found = _MEDIA_PATH.fullmatch(call.path)
        task = self.tasks.get(found["task"]) if found else None
        if found is None or task is None:
            return self.no_route(call)
        if found["kind"] == "png":
            cover = MediaFile(content=cover_png(task.title()), content_type="image/png")
            return self.media.serve(call, cover)
        index = int(found["index"])
        length_s = task.song_s(index) / (1 if task.stage(call.now) is Stage.COMPLETE else 3)
        song = MediaFile(length_s=length_s, seed=task.dice(index), switches=task.switches)
        return self.media.serve(call, song)

    def callback_stages(self, task: Generation) -> Sequence[tuple[float, str]]:
        """One callback per stage; no retry is documented."""
        return [(task.at_s(stage), stage) for stage in task.path()[1:]]

    def callback(self, task: Generation, stage: str, now: float) -> JsonValue:
        """Build a callback: a bare list without the task's id, or the feed's envelope."""
        reached = task.stage(task.at_s(stage))
        shape = task.switches.get("callback_shape", "list")
        if shape == "list":
            return task.items(reached, task.origin)
        named = {"task_id": task.id} if shape == "envelope_with_id" else {}
        return {**named, **task.feed(reached, task.origin)}


def _generation(call: Call) -> str:
    return call.switches.get("docs_gen", "any")


def _model(call: Call) -> str:
    model = call.body.get("model", emulator_checks.DEFAULT_MODEL.get(_generation(call), "suno-v3-5"))
    return str(model)


def _created(task: Generation, fault: str) -> JsonObject:
    """Build the body of a create answer, in one of the five shapes that occur."""
    if fault == "no_id":
        return {"code": 200, "message": "success", "data": {"status": "IN_PROGRESS"}}
    match task.switches.get("create_shape"):
        case "envelope":
            data = {"task_id": task.id, "status": "IN_PROGRESS"}
            return {"code": 200, "message": "success", "data": data}
        case "camel":
            return {"code": 200, "msg": "success", "data": {"taskId": task.id}}
        case "work_id":
            return {"code": 200, "message": "success", "workId": task.id, "data": {"task_id": task.id}}
        case shape:
            name = "id" if shape == "overview" else "task_id"
            return {
                name: task.id,
                "status": "pending",
                "model": task.model,
                "created_at": iso(task.created_s),
            }
