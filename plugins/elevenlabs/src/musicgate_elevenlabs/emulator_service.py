"""The emulator of Eleven Music: its routes, order of checks, prices and concurrency.

Keys that begin with ``free-plan``, ``no-scope``, ``no-scope-403`` and ``no-credits-401`` have the vendor's
refusals; a song counts as one of the key's concurrent calls until its answer begins.
"""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import Final

import attrs

import musicgate.emulation as em
from musicgate.emulation import Call, EmulatedAnswer, Kind, No, answer_json, route
from musicgate.plugin import HttpResponse, violations
from musicgate_elevenlabs import emulator_answers as answers
from musicgate_elevenlabs import emulator_checks as rules
from musicgate_elevenlabs import emulator_songs as songs
from musicgate_elevenlabs.declaration import PROVIDER
from musicgate_elevenlabs.emulator_finetunes import FinetuneRoutes
from musicgate_elevenlabs.emulator_songs import Song
from musicgate_elevenlabs.errors import SENT_WITH

#: ASSUMED: charged by the second, at 900 credits a minute.
#: Source of the 900: elevenlabs.io/pricing/api, 2026-09.
CREDITS_PER_S: Final = 15.0
#: Names of the stems. Seen: those of two_stems_v1, 2026-06-29.
_STEMS: Final = {
    "two_stems_v1": ("vocals", "instrumental"),
    "six_stems_v1": ("vocals", "drums", "bass", "guitar", "piano", "other"),
}
_PAID: Final = ("rate", "concurrent", "credits", "fault")
_OF_A_VIDEO: Final = ("key", "account", "query", "form", "limits", "moderation", *_PAID)


class ElevenLabsEmulator(FinetuneRoutes):
    """An emulated Eleven Music."""

    provider = PROVIDER
    checks = ("key", "account", "query", "body", "limits", "request", *_PAID)
    media_paths = ()
    refusals = MappingProxyType(
        {
            No.NO_KEY: (401, "missing_api_key"),
            No.BAD_KEY: (401, "invalid_api_key"),
            No.NO_CREDITS: (402, "insufficient_credits"),
            No.TOO_OFTEN: (429, "rate_limit_exceeded"),
            No.TOO_MANY: (429, "concurrent_limit_exceeded"),
        }
    )
    refused_keys = MappingProxyType(
        {
            "free-plan": (402, "limited_access"),
            "no-scope": (401, "missing_permissions"),
            "no-scope-403": (403, "insufficient_permissions"),
            "no-credits-401": (401, "quota_exceeded"),
        }
    )
    texts = answers.FIRST_CODES
    switches = answers.SWITCHES

    def __init__(self, options: em.EmulatorOptions) -> None:
        super().__init__(options)
        #: Ids of the songs that a plan may refer to, with their keys.
        self._stored: set[tuple[str, str]] = set()

    def headers_of(self, call: Call) -> dict[str, str]:
        """Name the request. Seen: also without these headers, 2026-06-29."""
        if "bare" in call.switches.get_all("headers"):
            return {}
        return {"request-id": call.trace[:20], "x-trace-id": call.trace[20:52]}

    def refuse(self, call: Call, code: int, text: str) -> EmulatedAnswer:
        """Make a refusal; ``text`` may be one of the vendor's codes."""
        return answers.refusal(call, text, code)

    def play(self, call: Call, fault: str, whole: EmulatedAnswer | None) -> EmulatedAnswer | None:
        """Make the answer of a fault, of a code, or JSON instead of audio."""
        if fault == "json":
            return answer_json(200, {"message": "accepted"})
        if fault == "refusal":
            refused = answers.refusal(call, "system_busy")
            return attrs.evolve(refused, response=attrs.evolve(refused.response, status=200))
        return answers.refusal(call, fault) if fault in SENT_WITH else super().play(call, fault, whole)

    def no_route(self, call: Call) -> EmulatedAnswer:
        """Make the 404 of an unknown route."""
        return answer_json(404, {"detail": "Not Found"})

    def price_of(self, call: Call) -> float:
        """Return the credits of a song."""
        return songs.length_s(call) * CREDITS_PER_S

    # --- checks ---

    def check_query(self, call: Call) -> EmulatedAnswer | None:
        """Refuse a wrong query, before the body, and what the account's plan does not have."""
        fields = rules.SONG_QUERY if call.fields is rules.COMPOSE else rules.QUERY
        name = call.query.get("output_format", "")
        gated = name == "pcm_44100" or (name.startswith("mp3_") and name.endswith("_192"))
        gated = gated or call.query.get("enable_logging") == "false"
        broken = violations(fields, em.typed(fields, call.query.items()))
        if not broken and call.switches.is_on("tier_gate") and gated:
            return answers.refusal(call, "subscription_required")
        return answers.refused_fields(call, em.validation_errors(broken, "query"))

    def check_body(self, call: Call) -> EmulatedAnswer | None:
        """Refuse a body that is no JSON, and one that is no object."""
        if call.is_json:
            return None
        try:
            json.loads(call.raw)
        except (ValueError, RecursionError):
            return answers.refusal(call, "malformed_json")
        message = "Input should be a valid dictionary"
        return answers.refused_fields(
            call, [{"loc": ["body"], "msg": message, "type": "model_attributes_type"}]
        )

    def check_limits(self, call: Call) -> EmulatedAnswer | None:
        """Refuse every field that is out of its range."""
        return answers.refused_fields(call, em.validation_errors(self.violations(call)))

    def check_request(self, call: Call) -> EmulatedAnswer | None:
        """Refuse fields that do not go together, unknown songs, names and harmful texts."""
        broken = rules.broken_rule(call, songs.output_format(call))
        if broken is not None:
            return answers.refused_fields(call, [broken])
        for song_id in rules.song_ids(rules.plan_of(call)):
            if (song_id, call.key) not in self._stored:
                return answers.refusal(call, f"song_not_found: {song_id}")
        return self.check_moderation(call)

    def check_moderation(self, call: Call) -> EmulatedAnswer | None:
        """Refuse names of artists and brands, and harmful texts."""
        found = rules.moderation(call)
        return None if found is None else answers.refusal(call, found[0], more=found[1])

    # --- songs ---

    @route("POST /v1/music", Kind.CREATE, fields=rules.COMPOSE)
    @route("POST /v1/music/detailed", Kind.CREATE, fields=rules.COMPOSE)
    @route("POST /v1/music/stream", Kind.CREATE, fields=rules.COMPOSE)
    @route("POST /v1/music/detailed/stream", Kind.CREATE, fields=rules.COMPOSE)
    def compose(self, call: Call) -> EmulatedAnswer:
        """Make a song, and answer with it when it is done, or while it is made."""
        song = self._make(call)
        answer = self._deliver(song, *songs.carried(song))
        if not call.path.endswith("/stream"):
            return answer
        # ASSUMED: the first bytes come after a quarter of the time, the rest while the song is made.
        first_s, rest_s = answer.delay_s / 4, answer.delay_s * 3 / 4
        rate = len(answer.response.body) / rest_s if rest_s else None
        return attrs.evolve(answer, delay_s=first_s, bytes_per_s=rate)

    @route(
        "POST /v1/music/plan",
        checks=("key", "account", "query", "body", "limits", "moderation", "rate"),
        fields=rules.PLAN,
    )
    def plan(self, call: Call) -> EmulatedAnswer:
        """Make a plan, which is free."""
        return answer_json(200, songs.plan_for(call, songs.length_s(call)))

    @route("POST /v1/music/video-to-music", Kind.CREATE, checks=_OF_A_VIDEO, fields=rules.VIDEO)
    def video_to_music(self, call: Call) -> EmulatedAnswer:
        """Make music for videos. ASSUMED: its length, and the names in the archive."""
        song = self._make(call)
        if call.body.get("separate_tracks") is not True:
            return self._deliver(song, *songs.carried(song))
        return self._archive(song, ("music", "sfx"))

    @route(
        "POST /v1/music/upload",
        Kind.CREATE,
        checks=("key", "account", "form", "limits", *_PAID),
        fields=rules.UPLOAD,
    )
    def upload(self, call: Call) -> EmulatedAnswer:
        """Store a song, at the price of one. ASSUMED: its length."""
        song = self._make(call)
        self._stored.add((song.id, call.key))
        found, model = songs.facts(song), str(call.body.get("extract_composition_plan", "false"))
        model = "music_v1" if model == "true" else model
        plan = None if model == "false" else songs.plan_for(call, song.file.length_s, model)
        body = {**found, "song_id": song.id, "composition_plan": plan}
        del body["song_metadata"]
        return self._deliver(song, "application/json", json.dumps(body).encode())

    @route(
        "POST /v1/music/stem-separation",
        checks=("key", "account", "query", "form", "limits"),
        fields=rules.STEMS,
    )
    def separate_stems(self, call: Call) -> EmulatedAnswer:
        """Divide a song into stems. ASSUMED: free, and the length."""
        names = _STEMS[str(call.body.get("stem_variation_id", "six_stems_v1"))]
        return self._archive(songs.song_of(call), names)

    def _make(self, call: Call) -> Song:
        """Make, charge and, if requested, store a song."""
        song = songs.song_of(call)
        self.accept(call, task_id=song.id, done_s=songs.work_s(song.file.length_s))
        if call.body.get("store_for_inpainting") is True:
            self._stored.add((song.id, call.key))
        return song

    def _archive(self, song: Song, names: tuple[str, ...]) -> EmulatedAnswer:
        files = {
            f"{name}.{song.file.sound.container}": songs.audio(song, part) for part, name in enumerate(names)
        }
        answer = self._deliver(song, "application/zip", songs.archive(files))
        return em.with_headers(answer, {"Content-Disposition": "attachment; filename=stems.zip"})

    def _deliver(self, song: Song, content_type: str, body: bytes) -> EmulatedAnswer:
        call, task = song.call, self.tasks.get(song.id)
        faults, headers = call.switches.get_all("headers"), {"Content-Type": content_type}
        if task is not None and "bare" not in faults:
            headers |= {
                "character-cost": str(round(task.price)),
                "current-concurrent-requests": str(self.accounts.running(call.key, call.now)),
                "maximum-concurrent-requests": f"{call.switches.limit('concurrent', self.concurrent) or 0:.0f}",
            }
        if task is not None and "no_song_id" not in faults:
            headers["song-id"] = song.id
        if "no_length" not in faults:
            headers["Content-Length"] = str(len(body))
        # Seen: two stems of 10 s in 2.8 s, 2026-06-29.
        stems_s = call.switches.number("done_s", 2.8) / self.options.speed
        delay_s = stems_s if task is None else max(0.0, task.ends_at_s - call.now)
        return EmulatedAnswer(response=HttpResponse(status=200, headers=headers, body=body), delay_s=delay_s)
