"""The emulator of the tiny plugin: a create route, a read route, one sound, one signed callback."""

import hashlib
import hmac
import json
from collections.abc import Sequence
from urllib.parse import unquote, urlsplit

import attrs

from musicgate.emulation.tones import AudioFormat, song
from musicgate.plugin import (
    EmulatedAnswer,
    EmulatedCallback,
    EmulatorBooks,
    EmulatorOptions,
    HttpRequest,
    HttpResponse,
    switches_in,
)

_WAITS_S, _LASTS_S = 4.0, 20.0


@attrs.frozen(kw_only=True)
class Task:
    """One song that was created."""

    id: str
    callback_url: str | None
    songs: int
    fails: bool
    created_s: float
    is_stopped: bool = False


class TinyVendor:
    def __init__(self, options: EmulatorOptions) -> None:
        self.books = EmulatorBooks()
        self._options = options
        self._tasks: dict[str, Task] = {}
        self._called_back: set[str] = set()

    def answer(self, request: HttpRequest, now: float) -> EmulatedAnswer:
        parts = urlsplit(request.url)
        self.books.calls[f"{request.method} {parts.path}"] += 1
        head, _, last = parts.path.rpartition("/")
        if request.method == "GET" and head == "/media" and last in self._tasks:
            sound = song(AudioFormat(container="wav", sample_rate_hz=8_000, channels=1), 2.0)
            headers = {"Content-Type": "audio/wav", "Content-Length": str(len(sound))}
            return EmulatedAnswer(response=HttpResponse(status=200, headers=headers, body=sound))
        creates = (request.method, parts.path) == ("POST", "/v1/songs")
        if not creates and not (request.method in {"GET", "DELETE"} and head == "/v1/songs"):
            return _no(404, "no such route")
        if not request.headers.get("Authorization", "").startswith("Bearer test"):
            return _no(401, "unknown key")
        if creates:
            return self._create(request, now)
        task = self._tasks.get(unquote(last))
        if task is None:
            return _no(404, "no such song")
        if request.method == "DELETE":
            if now >= task.created_s + _LASTS_S:
                return _no(409, "the song is over")
            task = self._tasks[task.id] = attrs.evolve(task, is_stopped=True)
        return _json(200, self._shown(task, now, parts.netloc))

    def due_callbacks(self, now: float) -> Sequence[EmulatedCallback]:
        over = [task for task in self._tasks.values() if now >= task.created_s + _LASTS_S]
        due = [task for task in over if task.callback_url and task.id not in self._called_back]
        self._called_back.update(task.id for task in due)
        return [self._callback(task, now) for task in due]

    def callback_answered(self, callback_id: str, status: int | None, now: float) -> None:
        """No callback is sent again."""

    def _create(self, request: HttpRequest, now: float) -> EmulatedAnswer:
        body = json.loads(request.body)
        switches = {**self._options.switches, **switches_in(body.get("prompt"))}
        task = Task(
            id=f"t-{self._options.seed}-{len(self._tasks)}",
            callback_url=body.get("callback_url"),
            songs=2 if body.get("model") == "duet-1" else 1,
            fails="fail" in switches,
            created_s=now,
        )
        self._tasks[task.id] = task
        self.books.creates.append(task.id)
        return _json(201, {"id": task.id, "status": "waiting"})

    def _shown(self, task: Task, now: float, host: str) -> dict[str, object]:
        if task.is_stopped:
            return {"id": task.id, "status": "stopped"}
        if now < task.created_s + _LASTS_S:
            status = "waiting" if now < task.created_s + _WAITS_S else "working"
            return {"id": task.id, "status": status}
        if task.fails:
            return {"id": task.id, "status": "failed", "reason": "the singer has a cold"}
        link = f"http://{host}/media/{task.id}"
        track = {"url": link, "seconds": 2.0, "title": "Tiny"}
        tracks = [{"id": f"{task.id}-{letter}", **track} for letter in "ab"[: task.songs]]
        return {"id": task.id, "status": "done", "songs": tracks}

    def _callback(self, task: Task, now: float) -> EmulatedCallback:
        request = HttpRequest.post_json(str(task.callback_url), {"id": task.id, "status": "done"})
        if self._options.webhook_secret is not None:
            at = str(int(now))
            signed = {
                "X-Tiny-Time": at,
                "X-Tiny-Signature": sign(self._options.webhook_secret, at, request.body),
            }
            request = attrs.evolve(request, headers={**request.headers, **signed})
        return EmulatedCallback(id=task.id, request=request)


def sign(secret: str, at: str, body: bytes) -> str:
    """The signature covers the time and the whole body."""
    return hmac.new(secret.encode(), at.encode() + b"." + body, hashlib.sha256).hexdigest()


def _json(status: int, value: object) -> EmulatedAnswer:
    headers = {"Content-Type": "application/json"}
    response = HttpResponse(status=status, headers=headers, body=json.dumps(value).encode())
    return EmulatedAnswer(response=response, delay_s=0.1)


def _no(status: int, text: str) -> EmulatedAnswer:
    return _json(status, {"error": {"text": text}})
