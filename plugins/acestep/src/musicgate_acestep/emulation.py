"""The emulator of an ACE-Step server: one song at a time, a queue, restarts, and its ugly answers."""

import json
from types import MappingProxyType
from urllib.parse import quote

import attrs

import musicgate.emulation as emu
from musicgate.emulation import switches as kinds
from musicgate.plugin import JsonValue, lenient
from musicgate_acestep import provider as declared

_NUMBERS = {"queued": 0, "running": 0, "succeeded": 1, "failed": 2}


@attrs.define(kw_only=True)
class Song(emu.Task):
    """One task, its files, and when the server restarts."""

    stages = MappingProxyType({"queued": 0.0, "running": 1.0, "succeeded": 25.0})
    files: tuple[str, ...]
    lost_s: float


class AceStepEmulator(emu.EmulatedVendor[Song]):
    """An emulated ACE-Step server; without a key of its own (`EmulatorOptions.key`) it needs none."""

    provider = declared()
    price = 0.0
    task_type = Song
    parallel = 1
    concurrent = 200  # the queue, ACESTEP_QUEUE_MAXSIZE
    media_paths = ("/v1/audio",)
    checks = ("body", "key", "concurrent", "fault")
    without = frozenset({"credits", "refund", "rate", "link_s"})
    refusals = MappingProxyType({emu.No.TOO_MANY: (429, "Server busy: queue is full")})
    texts = MappingProxyType({503: "API key is not configured"})
    switches = (
        emu.Switch("generation", kinds.word("feb", "later"), "later: failures have a traceback"),
        emu.Switch("restart_s", kinds.number(), "seconds after a create call until the server restarts"),
    )

    def restart(self, now: float) -> None:
        """Forget every task that waits or runs; records and files on the disk stay."""
        self.accounts.end_all()
        for task in self.tasks.values():
            task.lost_s = min(task.lost_s, now)

    def refuse(self, call: emu.Call, code: int, text: str) -> emu.EmulatedAnswer:
        """Make a refusal of the server's framework."""
        return emu.answer_json(code, {"detail": text})

    def check_key(self, call: emu.Call) -> emu.EmulatedAnswer | None:
        """Refuse a wrong key, and a missing one if the server has one."""
        refusal = super().check_key(call)
        return None if self.options.key is None and not call.key else refusal

    @emu.route("POST /release_task", emu.Kind.CREATE)
    def create(self, call: emu.Call) -> emu.EmulatedAnswer:
        """Queue a task of two songs, unless the request says how many."""
        kind, batch = call.body.get("audio_format", "mp3"), lenient.integer(call.body.get("batch_size")) or 2
        files = tuple(f"/tmp/api_audio/{call.trace[:32]}-{index}.{kind}" for index in range(batch))  # noqa: S108
        lost_s = call.now + call.switches.number("restart_s", float("inf")) / self.options.speed
        task = self.accept(call, files=files, lost_s=lost_s)
        length_s = task.length_s(default=lenient.seconds(call.body.get("audio_duration")))
        sound = emu.AudioFormat(container=kind if kind in {"mp3", "flac"} else "wav", sample_rate_hz=48_000)
        made = emu.MediaFile(sound=sound, length_s=length_s, switches=call.switches, is_ready=task.has_audio)
        for seed, path in enumerate(files):
            self.media.add(path, attrs.evolve(made, seed=seed))
        position = sum(other.status(call.now) == "queued" for other in self.tasks.values())
        return _envelope({"task_id": task.id, "status": "queued", "queue_position": position})

    @emu.route("POST /query_result", emu.Kind.POLL, task="task_id_list")
    def poll(self, call: emu.Call, task: Song) -> emu.EmulatedAnswer:
        """Show the record of a task; a running one has status 2 after an hour."""
        now = min(call.now, task.lost_s)  # after a restart the last record stays on the disk
        word, share = call.false_status or task.status(now), round(task.progress(now), 2)
        if word == "queued" and now < call.now:
            return self.no_task(call)  # a waiting task had none
        song = {"status": _NUMBERS.get(word, 0), "stage": word, "file": "", "progress": share}
        if word == "failed" and task.switches.get("generation") == "later":
            song["error"] = 'Traceback (most recent call last):\n  File "/opt/x.py"\nRuntimeError: silence\n'
        songs: list[JsonValue] = [song]
        if word == "succeeded":
            made = {**song, "dit_model": task.request.get("model"), "metas": {"bpm": "N/A"}}
            songs = [{**made, "file": f"/v1/audio?path={quote(path, safe='')}"} for path in task.files]
        is_stale = word == "running" and call.now > task.created_s + 3600.0 / task.speed
        status = 2 if is_stale else _NUMBERS.get(word, word)
        return _envelope([{"task_id": task.id, "result": json.dumps(songs), "status": status}])

    def no_task(self, call: emu.Call) -> emu.EmulatedAnswer:
        """Show the record of an unknown task: it is no error."""
        return _envelope([{"task_id": call.task_id, "result": "[]", "status": 0}])

    def serve_media(self, call: emu.Call) -> emu.EmulatedAnswer:
        """Serve a file by the path in the query, to a caller with the key."""
        call.path = call.query.get("path", "")
        return self.check_key(call) or self.media.answer(call)


def _envelope(data: JsonValue) -> emu.EmulatedAnswer:
    return emu.answer_json(200, {"data": data, "code": 200, "error": None, "timestamp": 0, "extra": None})
