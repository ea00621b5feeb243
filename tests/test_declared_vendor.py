"""An emulated vendor that plays declared offers: limits, list prices, songs, places in its queue."""

import json
from types import MappingProxyType
from typing import Any

import attrs
import pytest

from musicgate.assets import measure_bytes
from musicgate.emulation import (
    Auth,
    Call,
    EmulatedAnswer,
    EmulatedVendor,
    Kind,
    No,
    Rate,
    Task,
    answer_json,
    route,
)
from musicgate.plugin import (
    CallbackSignature,
    Choice,
    EmulatorOptions,
    HeaderAuth,
    HttpRequest,
    HttpResponse,
    Number,
    Offer,
    PriceRule,
    Provider,
    RateWindow,
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


DECLARED = Provider(
    name="acme",
    plugin="acme_direct",
    label="Acme",
    base_url="https://acme.example",
    key_env="ACME_KEY",
    base_url_env="ACME_URL",
    auth=HeaderAuth(header="X-Key", scheme="Token"),
    offers=tuple(OFFERS.values()),
    option_block="acme",
    options_schema={},
    webhook_secret_env="ACME_SECRET",
    callback_signature=CallbackSignature(
        header="X-Sign", signed="{native_id}.{timestamp}", timestamp_header="X-Time"
    ),
)


class Declared(EmulatedVendor[Task]):
    provider = DECLARED

    @route("POST /make", Kind.CREATE)
    def make(self, call: Call) -> EmulatedAnswer:
        task = self.accept(call, callback_url="https://us.example/cb")
        return answer_json(200, {"id": task.id, "price": task.price})

    def callback(self, task: Task, stage: str, now: float) -> dict[str, object]:
        return {"id": task.id}


class Renamed(Declared):
    name = "other"
    auth = Auth("X-Other")


def made(vendor: EmulatedVendor[Task], key: str = "Token k", **body: object) -> HttpResponse:
    headers = {"X-Key": key}
    url = "https://acme.example/make"
    request = HttpRequest(method="POST", url=url, headers=headers, body=json.dumps(body).encode())
    return vendor.answer(request, 0.0).response


def test_declared_provider_gives_name_key_offer_and_limits() -> None:
    vendor = Declared(EmulatorOptions())
    assert (vendor.name, made(vendor, key="k", model="one").status) == ("acme_direct", 401)
    assert made(vendor, model="big/two").json_object()["price"] == 0.2
    assert b"prompt has 11 characters" in made(vendor, model="one", prompt="eleven char").body
    assert b"there is no such model" in made(vendor, model="three").body


def test_declared_provider_gives_the_signature_of_callbacks() -> None:
    vendor = Declared(EmulatorOptions(webhook_secret="s"))
    task_id = str(made(vendor, model="one").json_object()["id"])
    (due,) = vendor.due_callbacks(100.0)
    assert due.request.headers["X-Time"] == "100"
    signature = DECLARED.callback_signature
    assert signature is not None
    headers = {name.lower(): value for name, value in due.request.headers.items()}
    facts = {"body": due.request.body, "native_id": task_id}
    assert signature.fault("s", headers, now=100.0, **facts) is None  # type: ignore[arg-type]
    assert signature.fault("t", headers, now=100.0, **facts) is not None  # type: ignore[arg-type]


class Limited(EmulatedVendor[Task]):
    provider = attrs.evolve(DECLARED, create_window=RateWindow(calls=3, per_s=10.0), max_parallel_creates=2)


class Unlimited(Limited):
    provider = Limited.provider
    rate = concurrent = None


def test_declared_provider_gives_the_limits_of_create_calls() -> None:
    assert (Declared.rate, Declared.concurrent) == (None, None)
    assert (Limited.rate, Limited.concurrent) == (Rate(3, 10.0), 2)
    assert (Unlimited.rate, Unlimited.concurrent) == (None, None)


class Worded(Declared):
    texts = MappingProxyType({401: "Who are you?", 402: "No money."})
    refusals = MappingProxyType({No.BAD_KEY: (402, ""), No.NO_ROUTE: (401, "Nothing here.")})


def test_refusal_without_a_text_has_that_of_its_code() -> None:
    vendor = Worded(EmulatorOptions())
    assert [made(vendor, key).json_object()["error"] for key in ("Token", "Token bad")] == [
        {"code": 401, "message": "Who are you?"},
        {"code": 402, "message": "No money."},
    ]
    unknown = vendor.answer(HttpRequest.get("http://v.test/nowhere"), 1.0).response
    assert unknown.json_object()["error"] == {"code": 401, "message": "Nothing here."}


def test_what_an_emulator_sets_itself_beats_the_declaration() -> None:
    assert (Renamed.name, Renamed.auth) == ("other", Auth("X-Other"))
    assert Renamed.sign is Declared.sign


class Traced(Declared):
    def headers_of(self, call: Call) -> dict[str, str]:
        return {"X-Trace": call.route, "Content-Type": "never/this"}


@pytest.mark.parametrize(
    ("fault", "trace"),
    [
        *(("", "POST /make"), ("cut", "POST /make"), ("429", "POST /make")),
        *(("html", None), ("made-malformed", None), ("made-503", "POST /make")),
    ],
)
def test_each_answer_of_the_vendors_own_has_its_headers(fault: str, trace: str | None) -> None:
    vendor = Traced(EmulatorOptions(switches={"create": fault} if fault else {}))
    response = made(vendor, model="one")
    assert response.header("x-trace") == trace
    assert response.header("content-type") != "never/this"
    assert made(vendor, key="k").header("x-trace") == "POST /make"


def test_an_unknown_route_has_the_headers_and_the_media_host_has_not() -> None:
    vendor = Traced(EmulatorOptions())
    place = "https://acme.example"
    answers = [
        vendor.answer(HttpRequest(method="GET", url=f"{place}/{path}"), 0.0) for path in ("no", "media/no")
    ]
    assert [answer.response.header("x-trace") for answer in answers] == ["GET /no", None]
