"""What an emulator plays of a declaration: limits in the vendor's words, prices, stages, files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import ClassVar

import pytest

from musicgate.emulation import (
    Call,
    EmulatedAnswer,
    EmulatedVendor,
    Kind,
    MediaFile,
    Task,
    answer_json,
    route,
    uuid4,
)
from musicgate.plugin import (
    EmulatorOptions,
    HttpRequest,
    JsonObject,
    Number,
    Offer,
    PriceRule,
    Provider,
    Text,
)

PROVIDER = Provider(
    name="acme",
    plugin="acme",
    label="Acme",
    base_url="https://api.acme.example",
    key_env="ACME_API_KEY",
    base_url_env="ACME_BASE_URL",
    offers=(
        Offer(
            model="acme/v1",
            native_model="v1",
            fields=(
                Text("prompt", neutral="prompt", max_chars=9, required_if=({},)),
                Number("seconds", neutral="duration", minimum=5, maximum=60, whole=True),
            ),
            prices=(PriceRule.per_song("0.10"),),
        ),
    ),
    option_block="acme",
    options_schema={},
)


class Acme(EmulatedVendor[Task]):
    """It wraps its song in an object, and counts its own credits."""

    provider = PROVIDER
    price: ClassVar[float | None] = 12
    calls_at_each_stage = True
    broken_limits: ClassVar[Mapping[str, tuple[int, str]]] = {
        "max_chars": (477, "{name} over {limit}"),
        "minimum": (478, "{name}: {minimum} to {maximum}"),
    }

    def native_of(self, call: Call) -> JsonObject:
        song = call.body.get("song")
        return song if isinstance(song, dict) else {}

    def refuse(self, call: Call, code: int, text: str) -> EmulatedAnswer:
        return answer_json(400, {"code": code, "text": text})

    def callback(self, task: Task, stage: str, now: float) -> JsonObject:
        return {"stage": stage}

    def file_at(self, call: Call) -> MediaFile | None:
        found = call.path.removeprefix("/media/") in self.tasks
        return MediaFile(content=b"song", content_type="audio/mpeg") if found else None

    @route("POST /songs", Kind.CREATE)
    def create(self, call: Call) -> EmulatedAnswer:
        return answer_json(200, {"id": self.accept(call, callback_url="http://127.0.0.1/cb").id})


def create(vendor: Acme, **song: object) -> JsonObject:
    body = json.dumps({"song": {"model": "v1", **song}}).encode()
    headers = {"authorization": "Bearer k"}
    call = HttpRequest(method="POST", url="https://api.acme.example/songs", headers=headers, body=body)
    return vendor.answer(call, 0.0).response.json_object()


@pytest.mark.parametrize(
    ("song", "refusal"),
    [
        ({"prompt": "0123456789"}, {"code": 477, "text": "prompt over 9"}),
        ({"prompt": "Rain", "seconds": 4}, {"code": 478, "text": "seconds: 5 to 60"}),
        # A rule that the vendor has no words for.
        ({"prompt": "Rain", "seconds": 61}, {"code": 400, "text": "seconds is 61; 5 to 60 are allowed"}),
        ({"prompt": "Rain", "model": "v2"}, {"code": 400, "text": "there is no such model"}),
    ],
)
def test_a_broken_limit_is_refused_in_the_vendors_words(song: JsonObject, refusal: JsonObject) -> None:
    vendor = Acme(EmulatorOptions())
    assert create(vendor, **song) == refusal
    assert vendor.books.creates == []


def test_a_price_of_the_emulator_beats_the_list_price() -> None:
    vendor = Acme(EmulatorOptions())
    create(vendor, prompt="Rain")
    assert list(vendor.books.credits_charged.values()) == [12]

    class InDollars(Acme):
        price = None

    vendor = InDollars(EmulatorOptions())
    create(vendor, prompt="Rain")
    assert list(vendor.books.credits_charged.values()) == [0.10]


def test_a_task_calls_back_at_each_of_its_stages() -> None:
    vendor = Acme(EmulatorOptions())
    create(vendor, prompt="Rain")
    bodies = [call.request.body for call in vendor.due_callbacks(1000.0)]
    assert bodies == [b'{"stage":"running"}', b'{"stage":"done"}']


def test_a_vendor_makes_its_files_when_they_are_asked_for() -> None:
    vendor = Acme(EmulatorOptions())
    task_id = create(vendor, prompt="Rain")["id"]
    found, missing = (
        vendor.answer(HttpRequest.get(f"https://api.acme.example/media/{name}"), 0.0).response
        for name in (task_id, "other")
    )
    assert (found.status, found.body) == (200, b"song")
    assert missing.status == 404


def test_an_id_in_the_form_of_a_uuid_depends_on_its_parts_alone() -> None:
    assert uuid4("a", 0) == uuid4("a", 0) != uuid4("a", 1)
    assert [len(part) for part in uuid4("a").split("-")] == [8, 4, 4, 4, 12]
