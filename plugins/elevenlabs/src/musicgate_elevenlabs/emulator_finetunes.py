"""The finetunes of the emulated vendor: made, listed, renamed, deleted; trained in a minute.

Source: elevenlabs.io/docs/api-reference/music/finetunes, 2026-08; elevenlabs-python 2.78.0, 2026-11.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import attrs

from musicgate.emulation import Call, EmulatedAnswer, EmulatedVendor, Task, answer_json, route
from musicgate.plugin import JsonObject, JsonValue
from musicgate.plugin.lenient import integer
from musicgate_elevenlabs.emulator_answers import headers_of, refusal

#: ASSUMED: how long a finetune waits, and how long its training ends after it was made.
_WAIT_S: Final = 5.0
_TRAINING_S: Final = 60.0
_REASONS: Final = {"failed": "training_failed", "blocked": "copyright_violation"}
_CHANGEABLE: Final = ("name", "tags", "primary_genre", "visibility")


@attrs.define(kw_only=True)
class _Finetune:
    id: str
    key: str
    created_s: float
    fields: JsonObject

    def record(self, call: Call, speed: float) -> JsonObject:
        """What the vendor says about it at the moment of a call."""
        elapsed_s = (call.now - self.created_s) * speed
        end = call.switches.get("finetune", "completed")
        stages = ((_WAIT_S, "pending"), (_TRAINING_S, "in_progress"), (float("inf"), end))
        status = next(word for until_s, word in stages if elapsed_s < until_s)
        return {
            "id": self.id,
            **self.fields,
            "created_at": datetime.fromtimestamp(self.created_s, UTC).isoformat(),
            "created_by": "self",
            "status": status,
            "training_progress": min(1.0, elapsed_s / _TRAINING_S),
            "failure_reason": _REASONS.get(status),
        }


class FinetuneRoutes(EmulatedVendor[Task]):
    """The routes of finetunes; an account sees its own."""

    _finetunes: dict[str, _Finetune]

    def check_finetune(self, call: Call) -> EmulatedAnswer | None:
        """Refuse an id that the account does not have."""
        found = self._finetunes.get(call.parameters["id"])
        known = found is not None and found.key == call.key
        return None if known else refusal(call, "finetune_not_found")

    @route("POST /v1/music/finetunes", checks=("key", "account", "form", "limits"))
    def create_finetune(self, call: Call) -> EmulatedAnswer:
        """Begin to train."""
        defaults: JsonObject = {"tags": [], "visibility": "private", "model_id": "music_v1"}
        fields = {**defaults, **{name: value for name, value in call.body.items() if name != "files"}}
        made = _Finetune(id=call.trace[:20], key=call.key, created_s=call.now, fields=fields)
        self._finetunes[made.id] = made
        return self._answer(call, 201, made.record(call, self.options.speed))

    @route("GET /v1/music/finetunes", checks=("key", "query"))
    def list_finetunes(self, call: Call) -> EmulatedAnswer:
        """List a page, by filters and in order."""
        size = integer(call.query.get("page_size")) or 50
        sort, is_descending = call.query.get("sort", "created_at"), call.query.get("sort_direction") != "asc"
        found = sorted(self._mine(call), key=lambda one: str(one[sort]), reverse=is_descending)
        start = integer(call.query.get("cursor")) or 0
        after = start + size if start + size < len(found) else None
        page: list[JsonValue] = list(found[start : start + size])
        cursor = None if after is None else str(after)
        return self._answer(
            call, 200, {"finetunes": page, "next_cursor": cursor, "has_more": after is not None}
        )

    @route("GET /v1/music/finetunes/{id}", checks=("key", "finetune"))
    def read_finetune(self, call: Call) -> EmulatedAnswer:
        """Tell how far the training is."""
        found = self._finetunes[call.parameters["id"]]
        return self._answer(call, 200, found.record(call, self.options.speed))

    @route("PATCH /v1/music/finetunes/{id}", checks=("key", "finetune", "body", "limits"))
    def change_finetune(self, call: Call) -> EmulatedAnswer:
        """Change name, tags, genre or visibility."""
        found = self._finetunes[call.parameters["id"]]
        changed = {name: call.body[name] for name in _CHANGEABLE if call.body.get(name) is not None}
        found.fields = {**found.fields, **changed}
        return self.read_finetune(call)

    @route("DELETE /v1/music/finetunes/{id}", checks=("key", "finetune"))
    def delete_finetune(self, call: Call) -> EmulatedAnswer:
        """Delete a finetune, and answer with it."""
        answer = self.read_finetune(call)
        del self._finetunes[call.parameters["id"]]
        return answer

    def _mine(self, call: Call) -> Iterator[JsonObject]:
        wanted = {name: call.query[name] for name in ("visibility", "created_by") if name in call.query}
        for one in self._finetunes.values():
            record = one.record(call, self.options.speed)
            if one.key == call.key and all(record[name] == value for name, value in wanted.items()):
                yield record

    def _answer(self, call: Call, status: int, body: JsonObject) -> EmulatedAnswer:
        return answer_json(status, body, headers_of(call))
