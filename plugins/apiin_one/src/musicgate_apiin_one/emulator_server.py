"""The emulator of apiin.one: keys, credits, rate limit, routes, faults and callbacks; sans I/O.

It uses nothing of the translation. Every key is valid except those that begin with ``bad`` (401),
``forbidden`` (403) or ``no-credits`` (an empty account).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import attrs

from musicgate.emulation import (
    EmulatedAnswer,
    EmulatedCallback,
    EmulatorBooks,
    switches_in,
)
from musicgate.plugin import hookimpl
from musicgate_apiin_one import emulator_answers, emulator_checks
from musicgate_apiin_one.emulator_answers import error
from musicgate_apiin_one.emulator_switches import Switches, parse_switches
from musicgate_apiin_one.emulator_task import FAIL_TEXTS, Stage, Task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from musicgate.emulation import Emulator, EmulatorOptions
    from musicgate.plugin import HttpRequest, JsonValue

CREATE_ROUTE = "POST /api/v1/audio/music"
FEED_ROUTE = "GET /api/v1/audio/music/feed"
MEDIA_ROUTE = "GET /media"

_MEDIA_PATH = re.compile(r"/media/(?P<task>[0-9a-z]+)/(?P<index>[01])\.(?P<kind>mp3|png)")
_RATE_WINDOW_S = 10.0
#: Seconds before the vendor answers a call.
_ANSWER_DELAY_S = 0.3
#: Defaults: an unknown route is a 404 with the error object, whatever the switches do to other errors.
_DEFAULTS = Switches({})


@hookimpl
def emulator(options: EmulatorOptions) -> Emulator:
    """Make an emulator of apiin.one."""
    return ApiinEmulator(options)


class ApiinEmulator:
    """An emulated apiin.one; implements `musicgate.plugin.emulator.Emulator`."""

    def __init__(self, options: EmulatorOptions) -> None:
        self.books = EmulatorBooks()
        self._options = options
        self._switches = parse_switches(options.switches)
        self._tasks: dict[str, Task] = {}
        self._balances: dict[str, int] = {}
        self._creates: dict[str, list[float]] = {}
        self._faults: Counter[str] = Counter()
        self._reads: Counter[str] = Counter()
        self._fetches: Counter[str] = Counter()
        self._handed_out: set[str] = set()
        #: Tasks that will fail and are not refunded yet.
        self._failing: list[Task] = []
        #: Tasks with callbacks that are not all handed out.
        self._calling_back: dict[str, Task] = {}

    def answer(self, request: HttpRequest, now: float) -> EmulatedAnswer:
        """Answer one request."""
        self._refund(now)
        parts = urlsplit(request.url)
        route = f"{request.method.upper()} {parts.path}"
        media = _MEDIA_PATH.fullmatch(parts.path)
        self.books.calls[MEDIA_ROUTE if media else route] += 1
        if media and request.method.upper() == "GET":
            return self._media(media, now)
        key = _key_of(request)
        if route not in {CREATE_ROUTE, FEED_ROUTE}:
            return error(404, _DEFAULTS)
        if key is None or key.startswith("bad"):
            return error(401, self._switches)
        if key.startswith("forbidden"):
            return error(403, self._switches)
        origin = f"{parts.scheme}://{parts.netloc}"
        if route == CREATE_ROUTE:
            answer = self._create(request, key, origin, now)
        else:
            answer = self._feed(parts.query, key, origin, now)
        return attrs.evolve(answer, delay_s=_ANSWER_DELAY_S / self._options.speed)

    def due_callbacks(self, now: float) -> Sequence[EmulatedCallback]:
        """One POST per stage; no retry is documented."""
        self._refund(now)
        tasks = list(self._calling_back.values())
        due = [callback for task in tasks for callback in self._callbacks_of(task, now)]
        self._handed_out.update(callback.id for callback in due)
        return due

    def callback_answered(self, callback_id: str, status: int | None, now: float) -> None:
        """Ignore how a callback was answered: there are no retries."""

    def _create(self, request: HttpRequest, key: str, origin: str, now: float) -> EmulatedAnswer:
        try:
            body: JsonValue = json.loads(request.body)
        except ValueError:
            body = None
        if not isinstance(body, dict):
            return error(400, self._switches, "The body must be a JSON object.")
        switches = self._switches.overridden_by(switches_in(*body.values()))
        generation = switches["docs_gen"]
        model = body.get("model", emulator_checks.DEFAULT_MODEL.get(generation, "suno-v3-5"))
        invalid = emulator_checks.find_error(body, model, generation)
        if invalid is not None:
            return error(400, switches, invalid)
        fault = self._next_fault(switches)
        if fault.isdigit():
            return error(int(fault), switches)
        faulty = emulator_answers.fault_without_task(fault)
        if faulty is not None:
            return faulty
        if fault == "moderation":
            return error(400, switches, FAIL_TEXTS["moderation"])
        if self._is_too_fast(key, switches, now):
            return error(429, switches)
        price = emulator_checks.prices(generation)[str(model)]
        if self._balance(key) < price:
            return error(402, switches)
        task = self._accept(body, str(model), key, switches, origin, now)
        self._balances[key] -= price
        self.books.credits_charged[task.id] = price
        return emulator_answers.fault_with_task(fault, emulator_answers.created(task))

    def _accept(
        self, body: dict[str, JsonValue], model: str, key: str, switches: Switches, origin: str, now: float
    ) -> Task:
        seed = f"{self._options.seed}/{len(self._tasks)}/{json.dumps(body, sort_keys=True)}"
        task = Task(
            id=f"gen{hashlib.sha256(seed.encode()).hexdigest()[:18]}ksv",
            account=key,
            model=model,
            body=body,
            switches=switches,
            origin=origin,
            created_s=now,
            lasts_s=switches.number("done_s") / self._options.speed,
        )
        self._tasks[task.id] = task
        if task.fails:
            self._failing.append(task)
        if "callback_url" in body and switches["callbacks"] != "off":
            self._calling_back[task.id] = task
        self.books.creates.append(task.id)
        self._creates.setdefault(key, []).append(now)
        return task

    def _feed(self, query: str, key: str, origin: str, now: float) -> EmulatedAnswer:
        parameters = parse_qs(query)
        accepted = self._switches["feed_parameter"]
        names = ("task_id", "workId") if accepted == "any" else (accepted,)
        task_id = next((parameters[name][0] for name in names if name in parameters), None)
        if task_id is None:
            return error(400, self._switches, "task_id is required.")
        task = self._tasks.get(task_id)
        if task is None or task.account != key:
            return error(404, self._switches, "Task not found.")
        self._reads[task_id] += 1
        body = task.feed(task.stage(now), origin)
        is_noisy = self._reads[task_id] <= task.switches.number("feed_noise_reads")
        noise = emulator_answers.noise(task, body) if is_noisy else None
        return noise or emulator_answers.json_answer(body)

    def _media(self, path: re.Match[str], now: float) -> EmulatedAnswer:
        # Imported late: real traffic does not load the material that songs are made of.
        from musicgate_apiin_one import emulator_media

        task = self._tasks.get(path["task"])
        if task is None:
            return error(404, _DEFAULTS)
        if path["kind"] == "png":
            return emulator_media.serve_cover(task)
        fetches = self._fetches[path[0]]
        self._fetches[path[0]] += 1
        is_done = task.stage(now) is Stage.COMPLETE
        return emulator_media.serve_audio(task, int(path["index"]), is_done=is_done, fetches=fetches)

    def _next_fault(self, switches: Switches) -> str:
        """The fault of this create call; none after ``create_fault_times`` calls."""
        fault = switches["create_fault"]
        self._faults[fault] += 1
        return fault if self._faults[fault] <= switches.number("create_fault_times") else "none"

    def _is_too_fast(self, key: str, switches: Switches, now: float) -> bool:
        limit = switches.number("creates_per_10_s")
        recent = [at for at in self._creates.get(key, ()) if at > now - _RATE_WINDOW_S / self._options.speed]
        return 0 < limit <= len(recent)

    def _balance(self, key: str) -> int:
        opening = 0 if key.startswith("no-credits") else self._switches.number("credits")
        return self._balances.setdefault(key, opening)

    def _refund(self, now: float) -> None:
        """Refund failed tasks (ASSUMED)."""
        for task in [task for task in self._failing if task.stage(now) is Stage.FAILED]:
            self._failing.remove(task)
            self._balances[task.account] += int(self.books.credits_charged[task.id])
            self.books.credits_charged[task.id] = 0

    def _callbacks_of(self, task: Task, now: float) -> list[EmulatedCallback]:
        stages, style = list(task.stages), task.switches["callbacks"]
        if style == "reversed":
            # The last stage comes first, so none is sent before it is reached.
            stages = stages[::-1] if stages and now >= task.reached_s(stages[-1]) else []
        copies = range(2 if style == "doubled" else 1)
        posts = {
            f"{task.id}-{stage.name.lower()}-{copy}": stage
            for stage in stages
            if now >= task.reached_s(stage)
            for copy in copies
        }
        if len(posts) == len(task.stages) * len(copies):
            del self._calling_back[task.id]
        url = str(task.body["callback_url"])
        return [
            EmulatedCallback(id=name, request=emulator_answers.callback(task, stage, url))
            for name, stage in posts.items()
            if name not in self._handed_out
        ]


def _key_of(request: HttpRequest) -> str | None:
    """The bearer key of a call, or None."""
    value = next((value for name, value in request.headers.items() if name.lower() == "authorization"), "")
    scheme, _, key = value.partition(" ")
    return key.strip() or None if scheme == "Bearer" else None
