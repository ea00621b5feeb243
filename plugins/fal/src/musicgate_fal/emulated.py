"""The emulator of fal's queue: its routes, words and shapes; the rest is the machine's."""

from types import MappingProxyType
from typing import Final

import musicgate.emulation as em
from musicgate.emulation import Call, EmulatedAnswer, Kind, No, answer_json, route
from musicgate.plugin import JsonObject, JsonValue
from musicgate_fal import ERRORS
from musicgate_fal import provider as declared
from musicgate_fal.models import Model, find

#: HTTP status of a failed result by its type; 422 for all others.
_STATUSES: Final = {"internal_server_error": 500, "generation_timeout": 504, "client_cancelled": 499}


class FalTask(em.Task):
    """A job in the queue; one that fails (``end=content_policy_violation``) is COMPLETED as well."""

    stages = MappingProxyType({"IN_QUEUE": 0.0, "IN_PROGRESS": 3.0, "COMPLETED": 25.0})
    failures = frozenset(map(str, ERRORS.codes))
    cancelled = "client_cancelled"


class FalEmulator(em.EmulatedVendor[FalTask]):
    """An emulated fal. ASSUMED: input is checked at submit, where clients have seen it refused."""

    provider = declared()
    task_type = FalTask
    # Of a new account; further jobs wait. Source: docs.fal.ai/model-apis/concurrency-limits, 2026-08.
    parallel = 2
    media_paths = ("/files/",)
    checks = ("key", "offer", "credits", "body", "limits", "fault")
    refusals = MappingProxyType(
        {No.NO_CREDITS: (403, "User is locked. Reason: Exhausted balance."), No.INVALID: (422, "")}
    )

    def refuse(self, call: Call, code: int, text: str, kind: str = "") -> EmulatedAnswer:
        """Make an error: with 422 a list, else a text, with its type if it has one."""
        listed: JsonValue = [{"loc": ["body"], "msg": text, "type": kind or "value_error"}]
        typed: JsonObject = {"error_type": kind} if kind and code != 422 else {}
        return answer_json(code, {"detail": listed if code == 422 else text, **typed})

    def no_task(self, call: Call) -> EmulatedAnswer:
        """Make the answer about an unknown id, as it was seen on 2026-10-01."""
        return answer_json(404, {"status": "NOT_FOUND"})

    def offer_of(self, call: Call) -> Model | None:
        """Find the model by its endpoint."""
        return find(call.parameters.get("endpoint"))

    @route("POST /{endpoint...}", Kind.CREATE)
    def submit(self, call: Call) -> EmulatedAnswer:
        """Put a job into the queue."""
        task_id, url = self.uuid("job", len(self.books.creates)), call.query.get("fal_webhook", "")
        return self.status(call, self.accept(call, task_id=task_id, callback_url=url))

    @route("GET /{owner}/{app}/requests/{id}/status", Kind.POLL)
    def status(self, call: Call, task: FalTask) -> EmulatedAnswer:
        """Say where the job is: 202 while it is open, but 200 at submit."""
        word, app = call.false_status or task.status(call.now), "/".join(call.path.split("/")[:3])
        address = f"{task.origin}{app}/requests/{task.id}"
        record: JsonObject = {
            "status": "COMPLETED" if word in task.failures else word,
            "request_id": task.id,
            "queue_position": 0 if word == "IN_QUEUE" else None,
            "response_url": address,
            "status_url": f"{address}/status",
            "cancel_url": f"{address}/cancel",
        }
        return answer_json(200 if call.method == "POST" or task.is_over(call.now) else 202, record)

    @route("PUT /{owner}/{app}/requests/{id}/cancel", Kind.CANCEL)
    def cancel(self, call: Call, task: FalTask) -> EmulatedAnswer:
        """Take a job out of the queue for nothing; stop one that runs, which costs."""
        if task.is_over(call.now):
            return answer_json(400, {"status": "ALREADY_COMPLETED"})
        if task.status(call.now) == "IN_QUEUE":
            self.refund(task)
        task.cancelled_s = call.now
        return answer_json(202, {"status": "CANCELLATION_REQUESTED"})

    @route("GET /{owner}/{app}/requests/{id}", Kind.POLL)
    @route("GET /{owner}/{app}/requests/{id}/response", Kind.POLL)
    def result(self, call: Call, task: FalTask) -> EmulatedAnswer:
        """Give the output of a job in its model's shape, or the error that is in its place."""
        word, model = task.status(call.now), task.offer
        if word in task.failures:
            return self.refuse(call, _STATUSES.get(word, 422), f"{word} on demand", word)
        if not isinstance(model, Model) or not task.is_over(call.now):
            return self.refuse(call, 400, "Request is still in progress")
        links = [self.add_song(task, index, folder="/files") for index in range(model.songs(task.request))]
        files: list[JsonObject] = [{"url": link, "content_type": "binary/octet-stream"} for link in links]
        units = f"{model.prices[0].units(self.length_of(model, task.request)) if model.prices else 1:g}"
        output = {model.output.removesuffix("[]"): files if model.output.endswith("[]") else files[0]}
        return answer_json(200, output, {"X-Fal-Billable-Units": units})

    def callback(self, task: FalTask, stage: str, now: float) -> JsonObject:
        """Make a callback without a payload, as it comes for one that is too large."""
        return {"request_id": task.id, "status": "ERROR" if task.fails else "OK", "payload": None}
