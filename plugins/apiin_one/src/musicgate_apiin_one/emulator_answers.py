"""HTTP answers and callbacks of the emulated apiin.one, faulty ones included; no decisions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import attrs

from musicgate.emulation import EmulatedAnswer
from musicgate.plugin import HttpRequest, HttpResponse
from musicgate_apiin_one.emulator_task import Stage, Task, iso

if TYPE_CHECKING:
    from musicgate.plugin import JsonObject, JsonValue
    from musicgate_apiin_one.emulator_switches import Switches

#: Source: https://apiin.one/docs/suno/generate, 2026-02-24. ASSUMED: the texts of 403, 429 and 5xx.
_ERRORS = {
    400: ("invalid_request", "Invalid parameters."),
    401: ("authentication_error", "Invalid or missing API key."),
    402: ("insufficient_credits", "Insufficient balance to perform generation."),
    403: ("permission_error", "This key may not call this route."),
    404: ("not_found", "Not found."),
    429: ("rate_limit_error", "Too many requests."),
    500: ("server_error", "Internal server error."),
    503: ("server_error", "Service unavailable."),
}
_HTML = b"<!doctype html><html><body><h1>502 Bad Gateway</h1></body></html>"


def answer(status: int, body: bytes, content_type: str = "application/json") -> EmulatedAnswer:
    """Make an answer of any bytes."""
    headers = {"Content-Type": content_type, "Content-Length": str(len(body))}
    return EmulatedAnswer(response=HttpResponse(status=status, headers=headers, body=body))


def json_answer(body: JsonObject, status: int = 200) -> EmulatedAnswer:
    """Make a JSON answer."""
    return answer(status, json.dumps(body).encode())


def error(status: int, switches: Switches, text: str | None = None) -> EmulatedAnswer:
    """Make an error answer in the shape of the switches."""
    kind, default = _ERRORS[status]
    message = text or default
    body: JsonObject = {"code": status, "message": message}
    if switches["error_shape"] == "object":
        body = {"error": {"code": status, "message": message, "type": kind}}
    return json_answer(body, 200 if switches["error_http"] == "200" else status)


def created(task: Task) -> JsonObject:
    """Build the body of a create answer, in one of the five shapes that occur."""
    match task.switches["create_shape"]:
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


def fault_without_task(fault: str) -> EmulatedAnswer | None:
    """Make the answer of a create fault that creates no task; None for other faults."""
    match fault:
        case "html":
            return answer(502, _HTML, "text/html")
        case "empty":
            return answer(500, b"")
        case "drop":
            return attrs.evolve(answer(200, b""), drop=True)
        case _:
            return None


def fault_with_task(fault: str, body: JsonObject) -> EmulatedAnswer:
    """Make the answer of a create call that created a task, damaged by the fault."""
    whole = json_answer(body)
    content = whole.response.body
    match fault:
        case "cut_json":
            return answer(200, content[: len(content) // 2])
        case "no_id":
            return json_answer({"code": 200, "message": "success", "data": {"status": "IN_PROGRESS"}})
        case "drop_accepted":
            return attrs.evolve(whole, drop=True)
        case "cut_answer":
            return attrs.evolve(whole, cut_after_bytes=len(content) // 2)
        case _:
            return whole


def noise(task: Task, body: JsonObject) -> EmulatedAnswer | None:
    """Make the faulty answer of the feed; None without a fault."""
    match task.switches["feed_noise"]:
        case "not_found":
            return error(404, task.switches, "Task not found.")
        case "error_500":
            return error(500, task.switches)
        case "empty":
            return answer(200, b"")
        case "html":
            return answer(502, _HTML, "text/html")
        case "cut_json":
            content = json.dumps(body).encode()
            return answer(200, content[: len(content) // 2])
        case "code_429":
            return json_answer({"code": 429, "message": "Too many requests."})
        case _:
            return None


def callback(task: Task, stage: Stage, url: str) -> HttpRequest:
    """Build the callback for a stage: a bare list without the task's id, or the feed's envelope."""
    items: JsonValue = task.items(stage, task.origin)
    if task.switches["callbacks"].startswith("envelope"):
        items = task.feed(stage, task.origin)
        if task.switches["callbacks"] == "envelope_with_id":
            items = {"task_id": task.id, **task.feed(stage, task.origin)}
    content = json.dumps(items).encode()
    return HttpRequest(method="POST", url=url, headers={"Content-Type": "application/json"}, body=content)
