"""The emulator of kie.ai: accounts, credits, rate limits, tasks in both dialects, faults.

Sans I/O and deterministic: requests and time come in. Every bearer key is a valid account except those that
begin with ``bad`` (401), ``no-credits`` (402) or ``sub-key-limit`` (433). The switches are in
`musicgate_suno_kie.emulator_switches`.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict, deque
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlsplit

import attrs

from musicgate.emulation import (
    EmulatedAnswer,
    EmulatedCallback,
    EmulatorBooks,
    EmulatorOptions,
    switches_in,
)
from musicgate.plugin import HttpRequest, JsonObject, JsonValue
from musicgate_suno_kie.declaration import CREDITS_PER_REQUEST, Dialect
from musicgate_suno_kie.emulator_answers import json_response, noise, texts_in
from musicgate_suno_kie.emulator_callbacks import CallbackQueue
from musicgate_suno_kie.emulator_checks import refusal, song_of
from musicgate_suno_kie.emulator_media import Media
from musicgate_suno_kie.emulator_switches import Switches
from musicgate_suno_kie.emulator_task import Task, digest
from musicgate_suno_kie.translate import (
    LEGACY_CREATE,
    LEGACY_READ,
    MARKET_CREATE,
    MARKET_READ,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CREDITS_AT_START: Final = 10_000.0
#: Source: kie.ai/getting-started: 20 new tasks per 10 s and account; refused, not queued.
CREATES_PER_WINDOW: Final = 20
WINDOW_S: Final = 10.0
#: Source: docs.kie.ai/suno-api/get-music-details: at most three reads a second and task.
READS_PER_SECOND: Final = 3
#: Seen on the market route: no record just after creation. ASSUMED: the time.
MARKET_NULL_S: Final = 2.0

_CREATE_DELAY_S, _READ_DELAY_S = 0.8, 0.2
_TOO_OFTEN = "Your call frequency is too high, please try again later."
_DIALECTS = {
    LEGACY_CREATE: Dialect.LEGACY,
    LEGACY_READ: Dialect.LEGACY,
    MARKET_CREATE: Dialect.MARKET,
    MARKET_READ: Dialect.MARKET,
}


class SunoEmulator:
    """An emulated kie.ai; implements `musicgate.plugin.emulator.Emulator`."""

    def __init__(self, options: EmulatorOptions) -> None:
        self.books = EmulatorBooks()
        self.tasks: dict[str, Task] = {}
        self._options = options
        self._global = Switches(options.switches)
        self._callbacks = CallbackQueue(options.webhook_secret)
        self._media = Media(self.tasks, options.speed)
        self._spent: Counter[str] = Counter()
        self._creates: defaultdict[str, deque[float]] = defaultdict(deque)
        self._reads: defaultdict[str, deque[float]] = defaultdict(deque)
        self._faults: Counter[str] = Counter()
        self._to_refund: list[Task] = []
        self._routes: dict[str, Callable[[HttpRequest, str, float], EmulatedAnswer]] = {
            f"POST {LEGACY_CREATE}": self._create,
            f"POST {MARKET_CREATE}": self._create,
            f"GET {LEGACY_READ}": self._read,
            f"GET {MARKET_READ}": self._read,
            "GET /api/v1/chat/credit": self._credit,
            "GET /api/v1/generate/credit": self._credit,
            "POST /api/v1/common/download-url": self._download_url,
        }

    def answer(self, request: HttpRequest, now: float) -> EmulatedAnswer:
        """Answer one request."""
        path = urlsplit(request.url).path
        self._refund(now)
        if request.method in {"GET", "HEAD"} and Media.serves(path):
            self.books.calls[f"{request.method} /{path.split('/')[1]}"] += 1
            return self._media.answer(request, now)
        route = f"{request.method} {path}"
        self.books.calls[route] += 1
        serve = self._routes.get(route)
        if serve is None:
            body = {"status": 404, "error": "Not Found", "path": path}
            return EmulatedAnswer(response=json_response(404, body))
        key, refused = self._account(request)
        return refused or serve(request, key, now)

    def due_callbacks(self, now: float) -> Sequence[EmulatedCallback]:
        """Callbacks to send now."""
        self._refund(now)
        return self._callbacks.due(now)

    def callback_answered(self, callback_id: str, status: int | None, now: float) -> None:
        """Note how a callback was answered; a failed one is retried."""
        self._callbacks.answered(callback_id, status, now)

    def balance(self, key: str) -> float:
        """Credits left on an account."""
        start = self._global.number("credits", CREDITS_AT_START)
        return 0.0 if key.startswith("no-credits") else start - self._spent[key]

    # --- routes ---

    def _account(self, request: HttpRequest) -> tuple[str, EmulatedAnswer | None]:
        header = next(
            (value for name, value in request.headers.items() if name.lower() == "authorization"), ""
        )
        scheme, _, key = header.partition(" ")
        if scheme == "Bearer" and key and not key.startswith("bad"):
            return key, None
        text = (
            f"Unauthorized: {key} is no key"
            if self._global.get("echo_key")
            else "You do not have access permissions"
        )
        return "", self._answer(401, text)

    def _create(self, request: HttpRequest, key: str, now: float) -> EmulatedAnswer:
        dialect = _DIALECTS[urlsplit(request.url).path]
        try:
            payload = json.loads(request.body)
        except ValueError:
            payload = None
        if not isinstance(payload, dict):
            return self._answer(422, "The request body is not valid JSON", delay_s=_CREATE_DELAY_S)
        switches = Switches({**self._options.switches, **switches_in(*texts_in(payload))})
        song = song_of(payload, dialect)
        refused = refusal(payload, song, dialect, switches) or self._account_refusal(key, now)
        if refused:
            return self._answer(*refused, delay_s=_CREATE_DELAY_S)
        fault = self._next_fault("create", switches, key, request.body)
        if fault.isdecimal():
            return self._answer(
                int(fault),
                _TOO_OFTEN if fault in {"429", "430"} else f"code {fault} on demand",
                delay_s=_CREATE_DELAY_S,
            )
        if fault in {"html", "empty", "http-500"}:
            return noise(fault)
        task = self._accept(request, payload, song, dialect, switches, key, now)
        return self._accepted(task, fault)

    def _account_refusal(self, key: str, now: float) -> tuple[int, str] | None:
        if key.startswith("sub-key-limit"):
            return 433, "The limit of this sub key is reached"
        if self.balance(key) < CREDITS_PER_REQUEST:
            return 402, "The current credits are insufficient. Please top up."
        if self._global.get("rate") == "off":
            return None
        window = self._creates[key]
        while window and window[0] <= now - WINDOW_S / self._options.speed:
            window.popleft()
        if len(window) >= self._global.number("rate", CREATES_PER_WINDOW):
            return 429, _TOO_OFTEN
        window.append(now)
        return None

    def _accept(
        self,
        request: HttpRequest,
        payload: JsonObject,
        song: JsonObject,
        dialect: Dialect,
        switches: Switches,
        key: str,
        now: float,
    ) -> Task:
        parts = urlsplit(request.url)
        task = Task(
            id=digest(self._options.seed, "task", len(self.books.creates))[:32],
            dialect=dialect,
            song=song,
            param=payload,
            key=key,
            origin=f"{parts.scheme}://{parts.netloc}",
            callback_url=str(payload.get("callBackUrl") or ""),
            switches=switches,
            created_s=now,
            speed=self._options.speed,
        )
        self.tasks[task.id] = task
        self.books.creates.append(task.id)
        self.books.credits_charged[task.id] = CREDITS_PER_REQUEST
        self._spent[key] += CREDITS_PER_REQUEST
        self._callbacks.schedule(task)
        self._media.add(task)
        # ASSUMED: every failure is refunded; documented for code 531, seen for failed creations.
        if task.fails and switches.get("refund") != "off":
            self._to_refund.append(task)
        return task

    def _accepted(self, task: Task, fault: str) -> EmulatedAnswer:
        data: JsonValue = {"no_id": {}, "data_empty": ""}.get(fault, {"taskId": task.id})
        answer = self._answer(200, "success", data, delay_s=_CREATE_DELAY_S)
        if fault == "lost":
            return noise("html")
        return attrs.evolve(answer, drop=fault == "drop")

    def _read(self, request: HttpRequest, key: str, now: float) -> EmulatedAnswer:
        parts = urlsplit(request.url)
        task = self.tasks.get(parse_qs(parts.query).get("taskId", [""])[0])
        if task is None or task.dialect is not _DIALECTS[parts.path] or task.key != key:
            return self._answer(422, "recordInfo is null", delay_s=_READ_DELAY_S)
        if self._reads_too_often(task, now):
            return self._answer(429, _TOO_OFTEN, delay_s=_READ_DELAY_S)
        null_s = task.switches.number("null_s", MARKET_NULL_S if task.dialect is Dialect.MARKET else 0.0)
        if now < task.created_s + null_s / task.speed:
            return self._answer(422, "recordInfo is null", delay_s=_READ_DELAY_S)
        fault = task.switches.step("read", task.reads)
        task.reads += 1
        if fault == "null_record":
            return self._answer(422, "recordInfo is null", delay_s=_READ_DELAY_S)
        if fault.isdecimal():
            return self._answer(int(fault), f"code {fault} on demand", delay_s=_READ_DELAY_S)
        if fault in {"html", "empty", "malformed", "drop"}:
            return noise(fault)
        if fault == "data_null":
            return self._answer(200, "success", None, delay_s=_READ_DELAY_S)
        if task.is_over(now):
            task.final_reads += 1
        show = task.market_record if task.dialect is Dialect.MARKET else task.legacy_record
        return self._answer(200, "success", show(now, status=fault or None), delay_s=_READ_DELAY_S)

    def _reads_too_often(self, task: Task, now: float) -> bool:
        window = self._reads[task.id]
        while window and window[0] <= now - 1.0 / task.speed:
            window.popleft()
        if len(window) >= READS_PER_SECOND:
            return True
        window.append(now)
        return False

    def _credit(self, request: HttpRequest, key: str, now: float) -> EmulatedAnswer:
        return self._answer(200, "success", self.balance(key))

    def _download_url(self, request: HttpRequest, key: str, now: float) -> EmulatedAnswer:
        try:
            url = json.loads(request.body)["url"]
        except (ValueError, KeyError, TypeError):
            return self._answer(422, "url cannot be empty")
        link = self._media.signed_link(url, now)
        return (
            self._answer(200, "success", link)
            if link
            else self._answer(422, "The url was not generated by this service")
        )

    # --- shared by the routes ---

    def _answer(
        self, code: int, text: str, data: JsonValue = None, *, delay_s: float = 0.0
    ) -> EmulatedAnswer:
        """Wrap an answer in the envelope; HTTP 200 for every code, unless ``http_status`` is ``real``."""
        name = self._global.get("envelope", "msg")
        status = code if self._global.get("http_status") == "real" else 200
        response = json_response(status, {"code": code, name: text, "data": data})
        return EmulatedAnswer(response=response, delay_s=delay_s / self._options.speed)

    def _next_fault(self, name: str, switches: Switches, key: str, body: bytes) -> str:
        """The next fault of a script.

        A global script counts the calls of an account; a script in a request's own texts counts equal bodies.
        """
        script = switches.get(name)
        own = script != self._global.get(name)
        counter = f"{name}:{key}:{script}:{digest(body.hex()) if own else ''}"
        fault = switches.step(name, self._faults[counter])
        self._faults[counter] += 1
        return fault

    def _refund(self, now: float) -> None:
        for task in [task for task in self._to_refund if task.is_over(now)]:
            self._to_refund.remove(task)
            self._spent[task.key] -= CREDITS_PER_REQUEST
            self.books.credits_charged[task.id] = 0.0
