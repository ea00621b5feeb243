"""An emulated vendor that makes one song after the other, and whose polls name the task in the body."""

import json
from typing import Any

from musicgate.emulation import Call, EmulatedAnswer, EmulatedVendor, Kind, Task, answer_json, route
from musicgate.plugin import EmulatorOptions, HttpRequest

ORIGIN = "http://127.0.0.1:1"


class OneMachine(EmulatedVendor[Task]):
    """A vendor with one machine; songs take 25 s."""

    parallel = 1

    @route("POST /create", Kind.CREATE)
    def create(self, call: Call) -> EmulatedAnswer:
        return answer_json(200, {"id": self.accept(call).id})

    @route("POST /read", Kind.POLL, task="ids")
    def read(self, call: Call, task: Task) -> EmulatedAnswer:
        return answer_json(200, {"id": call.task_id, "status": task.status(call.now)})


def ask(vendor: OneMachine, path: str, body: dict[str, Any], now: float) -> Any:
    headers = {"Authorization": "Bearer key"}
    request = HttpRequest(
        method="POST", url=f"{ORIGIN}{path}", headers=headers, body=json.dumps(body).encode()
    )
    return json.loads(vendor.answer(request, now).response.body)


def test_songs_are_made_one_after_the_other_in_the_order_of_their_calls() -> None:
    vendor = OneMachine(EmulatorOptions(speed=2.0))
    first, second = (ask(vendor, "/create", {"n": n}, 0.0)["id"] for n in (1, 2))
    seen = {
        now: [ask(vendor, "/read", {"ids": [task]}, now)["status"] for task in (first, second)]
        for now in (1.0, 3.0, 12.5, 15.5, 25.0)
    }
    assert seen == {
        1.0: ["queued", "queued"],
        3.0: ["running", "queued"],
        12.5: ["done", "queued"],
        15.5: ["done", "running"],
        25.0: ["done", "done"],
    }


def test_an_idle_machine_begins_at_once() -> None:
    vendor = OneMachine(EmulatorOptions())
    task = ask(vendor, "/create", {}, 100.0)["id"]
    statuses = [ask(vendor, "/read", {"ids": [task]}, now)["status"] for now in (104.0, 105.0, 124.0, 125.0)]
    assert statuses == ["queued", "running", "running", "done"]


def test_a_task_waits_in_its_first_stage() -> None:
    vendor = OneMachine(EmulatorOptions())
    ask(vendor, "/create", {}, 0.0)
    second = vendor.tasks[ask(vendor, "/create", {}, 10.0)["id"]]
    assert [second.at_s(stage) for stage in ("queued", "running", "done")] == [10.0, 30.0, 50.0]


def test_a_task_is_named_in_the_body_by_itself_or_first_in_a_list() -> None:
    vendor = OneMachine(EmulatorOptions())
    task = ask(vendor, "/create", {}, 0.0)["id"]
    assert ask(vendor, "/read", {"ids": task}, 0.0)["id"] == task
    assert ask(vendor, "/read", {"ids": [task, "other"]}, 0.0)["id"] == task
    nothing: tuple[dict[str, Any], ...] = ({"ids": []}, {"ids": ["other", task]}, {}, {"ids": {"a": 1}})
    for unknown in nothing:
        assert ask(vendor, "/read", unknown, 0.0)["error"]["code"] == 404
