"""An emulated vendor that plays declared offers: limits, list prices, songs, places in its queue."""

import json
from typing import Any

import pytest

from musicgate.assets import measure_bytes
from musicgate.emulation import Call, EmulatedAnswer, EmulatedVendor, Kind, Task, answer_json, route
from musicgate.plugin import (
    Choice,
    EmulatorOptions,
    HttpRequest,
    HttpResponse,
    Number,
    Offer,
    PriceRule,
    Text,
)

OFFERS = {
    "one": Offer(
        model="acme/one",
        native_model="one",
        fields=(
            Text("prompt", neutral="prompt", max_chars=10),
            Number("ms", neutral="duration", per_neutral=1000),
            Choice("format", neutral="format", choices=("wav", "flac", "aac")),
        ),
        prices=(PriceRule.per_second("0.6", seconds=60),),
    ),
    "big/two": Offer(model="acme/two", native_model="big/two", prices=(PriceRule.per_song("0.2"),)),
}


class Acme(EmulatedVendor[Task]):
    parallel = 2
    checks = ("key", "offer", "limits", "credits")

    def offer_of(self, call: Call) -> Offer | None:
        return OFFERS.get(call.parameters.get("model", ""))

    @route("POST /make/{model...}", Kind.CREATE)
    def make(self, call: Call) -> EmulatedAnswer:
        task = self.accept(call, task_id=self.uuid(len(self.tasks)))
        return answer_json(200, {"id": task.id, "link": self.add_song(task)})


def send(vendor: Acme, model: str = "one", now: float = 0.0, key: str = "k", **body: object) -> HttpResponse:
    headers = {"Authorization": f"Bearer {key}"}
    url = f"https://acme.example/make/{model}"
    request = HttpRequest(method="POST", url=url, headers=headers, body=json.dumps(body).encode())
    return vendor.answer(request, now).response


def test_declared_limits_are_played() -> None:
    response = send(Acme(EmulatorOptions()), prompt="eleven char")
    assert response.status == 400
    assert b"prompt has 11 characters; at most 10 are allowed" in response.body


def test_a_model_that_is_not_declared_is_no_route() -> None:
    assert send(Acme(EmulatorOptions()), "three").status == 404


@pytest.mark.parametrize(
    ("model", "body", "price"), [("one", {"ms": 30_000}, 0.3), ("one", {}, 0.1), ("big/two", {}, 0.2)]
)
def test_the_list_price_is_charged(model: str, body: dict[str, Any], price: float) -> None:
    vendor = Acme(EmulatorOptions())
    assert send(vendor, model, **body).status == 200
    assert list(vendor.books.credits_charged.values()) == [pytest.approx(price)]


def test_an_account_that_cannot_pay_the_list_price_is_refused() -> None:
    assert send(Acme(EmulatorOptions(switches={"credits": "0.2"})), ms=30_000).status == 402


@pytest.mark.parametrize(
    ("wanted", "kind"), [("wav", "wav"), ("flac", "flac"), ("aac", "mp3"), (None, "mp3")]
)
def test_a_song_is_as_it_was_asked_for(wanted: str | None, kind: str) -> None:
    vendor = Acme(EmulatorOptions())
    link = str(send(vendor, ms=7000, format=wanted).json_object()["link"])
    song = vendor.answer(HttpRequest.get(link), 1.0).response
    facts = measure_bytes(song.body)
    assert (facts.kind, round(facts.duration_s)) == (kind, 7)


def test_a_link_expires_when_the_switch_says_so() -> None:
    vendor = Acme(EmulatorOptions(switches={"link_s": "5"}))
    link = str(send(vendor).json_object()["link"])
    assert [vendor.answer(HttpRequest.get(link), at_s).response.status for at_s in (4.0, 6.0)] == [200, 403]


def test_further_songs_of_an_account_wait_for_a_place() -> None:
    vendor = Acme(EmulatorOptions())
    for at_s in (0.0, 1.0, 2.0, 3.0):
        send(vendor, now=at_s)
    send(vendor, now=4.0, key="other")
    assert [task.ends_at_s for task in vendor.tasks.values()] == [25.0, 26.0, 50.0, 51.0, 29.0]
    third = list(vendor.tasks.values())[2]
    assert [third.status(at_s) for at_s in (24.0, 29.0, 31.0, 50.0)] == [
        "queued",
        "queued",
        "running",
        "done",
    ]
