"""The finetunes of the emulated vendor: made, listed, renamed, deleted; trained in a minute.

Source: elevenlabs.io/docs/api-reference/music/finetunes, 2026-08; elevenlabs-python 2.78.0, 2026-11.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import attrs

from musicgate.emulation import (
    Call,
    EmulatedAnswer,
    EmulatedVendor,
    EmulatorOptions,
    Task,
    answer_json,
    route,
)
from musicgate.plugin import JsonObject, JsonValue
from musicgate.plugin.lenient import integer
from musicgate_elevenlabs import emulator_checks as rules
from musicgate_elevenlabs.emulator_answers import refusal

#: ASSUMED: how long a finetune waits, and how long its training ends after it was made.
_WAIT_S: Final = 5.0
_TRAINING_S: Final = 60.0
_REASONS: Final = {"failed": "training_failed", "blocked": "copyright_violation"}


@attrs.define(kw_only=True)
class _Finetune:
    id: str
    key: str
    created_s: float
    fields: JsonObject


class FinetuneRoutes(EmulatedVendor[Task]):
    """The routes of finetunes; an account sees its own."""

    def __init__(self, options: EmulatorOptions) -> None:
        super().__init__(options)
        self._finetunes: dict[str, _Finetune] = {}

    def check_finetune(self, call: Call) -> EmulatedAnswer | None:
        """Refuse an id that the account does not have."""
        found = self._finetunes.get(call.parameters["id"])
        return refusal(call, "finetune_not_found") if found is None or found.key != call.key else None

    @route("POST /v1/music/finetunes", checks=("key", "account", "form", "limits"), fields=rules.NEW_FINETUNE)
    def create_finetune(self, call: Call) -> EmulatedAnswer:
        """Begin to train."""
        fields = {"tags": [], "visibility": "private", "model_id": "music_v1", **call.body}
        fields.pop("files", None)
        made = _Finetune(id=call.trace[:20], key=call.key, created_s=call.now, fields=fields)
        self._finetunes[made.id] = made
        return answer_json(201, self._record(call, made))

    @route("GET /v1/music/finetunes", checks=("key", "query"))
    def list_finetunes(self, call: Call) -> EmulatedAnswer:
        """List a page, by filters and in order."""
        wanted = {name: call.query[name] for name in ("visibility", "created_by") if name in call.query}
        records = (self._record(call, one) for one in self._finetunes.values() if one.key == call.key)
        found: list[JsonValue] = [
            *sorted(
                (record for record in records if all(record[name] == wanted[name] for name in wanted)),
                key=lambda record: str(record[call.query.get("sort", "created_at")]),
                reverse=call.query.get("sort_direction") != "asc",
            )
        ]
        start = integer(call.query.get("cursor")) or 0
        end = start + (integer(call.query.get("page_size")) or 50)
        has_more = end < len(found)
        cursor = str(end) if has_more else None
        return answer_json(200, {"finetunes": found[start:end], "next_cursor": cursor, "has_more": has_more})

    @route("GET /v1/music/finetunes/{id}", checks=("key", "finetune"))
    def read_finetune(self, call: Call) -> EmulatedAnswer:
        """Tell how far the training is."""
        return answer_json(200, self._record(call, self._finetunes[call.parameters["id"]]))

    @route(
        "PATCH /v1/music/finetunes/{id}", checks=("key", "finetune", "body", "limits"), fields=rules.FINETUNE
    )
    def change_finetune(self, call: Call) -> EmulatedAnswer:
        """Change name, tags, genre or visibility."""
        names = {field.name for field in call.fields}
        changed = {name: value for name, value in call.body.items() if name in names and value is not None}
        found = self._finetunes[call.parameters["id"]]
        found.fields = {**found.fields, **changed}
        return self.read_finetune(call)

    @route("DELETE /v1/music/finetunes/{id}", checks=("key", "finetune"))
    def delete_finetune(self, call: Call) -> EmulatedAnswer:
        """Delete a finetune, and answer with it."""
        answer = self.read_finetune(call)
        del self._finetunes[call.parameters["id"]]
        return answer

    def _record(self, call: Call, one: _Finetune) -> JsonObject:
        """What the vendor says about a finetune at the moment of a call."""
        elapsed_s = (call.now - one.created_s) * self.options.speed
        end = call.switches.get("finetune", "completed")
        status = "pending" if elapsed_s < _WAIT_S else "in_progress" if elapsed_s < _TRAINING_S else end
        return {
            "id": one.id,
            **one.fields,
            "created_at": datetime.fromtimestamp(one.created_s, UTC).isoformat(),
            "created_by": "self",
            "status": status,
            "training_progress": min(1.0, elapsed_s / _TRAINING_S),
            "failure_reason": _REASONS.get(status),
        }
