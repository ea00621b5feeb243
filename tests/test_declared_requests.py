"""What the core makes of declared fields: a native request, the schema of its options, a price."""

from collections.abc import Mapping
from decimal import Decimal

import attrs
import pytest

from musicgate.codec import SchemaValidator
from musicgate.errors import RequestError, UnsupportedOptionError
from musicgate.plugin import (
    Array,
    Choice,
    Draft,
    Flag,
    Meter,
    MusicRequest,
    Number,
    Offer,
    PriceRule,
    ProviderSettings,
    Structure,
    Text,
    option_schema,
    settings_schema,
)

OFFER = Offer(
    model="acme/one",
    native_model="one",
    fields=(
        Text("text", neutral="prompt", carries=("style", "lyrics"), max_chars=40),
        Number("length_ms", neutral="duration", per_neutral=1000, minimum=3000, maximum=60_000, whole=True),
        Choice(
            "sound.format",
            neutral="format",
            choices=("mp3_high", "mp3_low", "wav"),
            means={"mp3_high": "mp3", "mp3_low": "mp3"},
        ),
        Choice("sound.rate", choices=(22_050, 44_100)),
        Flag("quick"),
    ),
    prices=(PriceRule.per_second("0.60", seconds=60),),
)
OTHER = Offer(
    model="acme/two",
    native_model="two",
    fields=(
        Text("text"),
        Number("length_ms", minimum=1, maximum=600, whole=False),
        Structure("plan"),
        Structure("plan_of_songs", fields=(Text("name"),)),
        Array("songs", max_items=2),
        Number("quick"),
    ),
)


def draft(**request: object) -> Draft:
    blocks = {"acme": request.pop("acme", {})}
    asked = MusicRequest(model="acme/one", blocks=blocks, **request)  # type: ignore[arg-type]
    made = Draft(asked, OFFER, ProviderSettings(base_url="https://acme.example"), "acme")
    made.send_declared()
    return made


def test_neutral_fields_are_sent_in_the_vendors_name_unit_and_spelling() -> None:
    made = draft(prompt="Rain", duration_s=30, format="mp3")
    assert made.fields == {"text": "Rain", "length_ms": 30_000, "sound": {"format": "mp3_high"}}
    assert not made.warnings


def test_the_block_beats_the_neutral_field_and_is_left_as_it_is() -> None:
    sound = {"rate": 22_050}
    made = draft(
        prompt="Rain", duration_s=30, format="wav", acme={"length_ms": 4000, "sound": sound, "text": " "}
    )
    assert made.fields == {"text": "Rain", "length_ms": 4000, "sound": {"format": "wav", "rate": 22_050}}
    assert sound == {"rate": 22_050}


def test_carried_texts_are_written_behind_with_a_warning_each() -> None:
    made = draft(prompt="Rain", style="jazz", lyrics="Row on")
    assert made.fields["text"] == "Rain, jazz\n\nLyrics:\nRow on"
    assert [(warning.code, warning.path) for warning in made.warnings] == [
        ("changed", ("style",)),
        ("changed", ("lyrics",)),
    ]
    assert draft(style="jazz").fields["text"] == "jazz"


@pytest.mark.parametrize("is_sung", [True, False])
def test_texts_without_a_field_are_labelled_and_reported(*, is_sung: bool) -> None:
    made = draft(negative_style="drums", vocal_gender="f", title=" ", style="a {b}")
    labels: Mapping[str, str | Mapping[str, str]] = {
        "style": "Style: {}",
        "title": "Title: {}",
        "vocal_gender": {"f": "sung by her"},
        "negative_style": "Not: {}",
    }
    del made.warnings[:]
    assert made.labelled(labels, "text", is_sung=is_sung) == {
        "style": "Style: a {b}",
        **({"vocal_gender": "sung by her"} if is_sung else {}),
        "negative_style": "Not: drums",
    }
    assert [(warning.code, warning.path, warning.message) for warning in made.warnings] == [
        ("changed", ("style",), "sent as part of text"),
        ("changed", ("vocal_gender",), "sent as part of text")
        if is_sung
        else ("not_applied", ("vocal_gender",), "an instrumental has no voice"),
        ("changed", ("negative_style",), "sent as part of text"),
    ]


def test_what_has_no_field_is_written_behind_a_text_as_long_as_it_fits() -> None:
    made = draft(prompt="Rain", style="jazz", title="A long title", acme={"mood": "grey"})
    lines = {
        "Style": made.said("x", "style"),
        "Title": made.said("x", "title"),
        "Voice": None,
        "Mood": made.said("mood"),
    }
    made.warnings.clear()
    whole = made.with_lines("Rain", lines, 27, why="Acme has no field for it")
    assert whole == "Rain\nStyle: jazz\nMood: grey"
    assert [(warning.code, warning.path) for warning in made.warnings] == [
        ("changed", ("style",)),
        ("not_applied", ("title",)),
        ("changed", ("acme", "mood")),
    ]
    assert made.with_lines("", {"Style": made.said("x", "style")}, None, why="No field") == "Style: jazz"
    with pytest.raises(UnsupportedOptionError) as caught:
        made.with_lines("Rain", {"Mood": made.said("mood")}, 9, why="Acme has no field for it")
    assert caught.value.path == ("acme", "mood")


def test_a_neutral_value_without_a_spelling_is_refused_by_its_path() -> None:
    with pytest.raises(RequestError, match=r"^format: must be one of mp3_high, mp3_low, wav") as caught:
        draft(prompt="Rain", format="ogg")
    assert caught.value.path == ("format",)


def test_an_error_names_the_option_where_the_caller_said_it() -> None:
    made = draft(prompt="Rain", acme={"sound": {"rate": 44_100}})
    assert made.post_json("https://acme.example/").paths == {
        "text": ("prompt",),
        "sound.rate": ("acme", "sound", "rate"),
    }


def test_fields_may_be_sent_in_the_query() -> None:
    made = draft(prompt="Rain", duration_s=30, acme={"quick": False, "text": "a&b"})
    call = made.post_json("https://acme.example/x", query=("quick", "text", "absent"), accept="audio/*")
    assert call.request.url == "https://acme.example/x?quick=false&text=a%26b"
    assert (call.request.body, call.request.headers["Accept"]) == (b'{"length_ms":30000}', "audio/*")
    assert call.fields is made.fields
    assert made.post_json("https://acme.example/x").request.url == "https://acme.example/x"


def test_what_a_native_request_asks_for_is_read_in_neutral_terms() -> None:
    native = {"length_ms": 30_000, "sound": {"format": "mp3_low"}}
    assert (OFFER.asked("duration", native), OFFER.asked("format", native)) == (30, "mp3")
    assert OFFER.asked("duration", {}) is None
    assert OFFER.asked("title", native) is None


@pytest.mark.parametrize(
    ("meter", "units"),
    [(Meter.REQUESTS, 1.0), (Meter.OUTPUT_AUDIO_COUNT, 2.0), (Meter.OUTPUT_AUDIO_SECONDS, 60.0)],
)
def test_units_of_a_price(meter: Meter, units: float) -> None:
    rule = PriceRule(meter=meter, price_usd=Decimal("0.1"))
    assert rule.units(30.0, count=2) == units
    assert attrs.evolve(rule, unit_size=Decimal(2)).units(30.0, count=2) == units / 2


def test_the_schema_of_a_block_allows_what_any_offer_allows() -> None:
    schema = option_schema("Acme options", (OFFER, OTHER), {"quick": True})
    allowed = SchemaValidator(dict(schema))
    block: Mapping[str, object]
    for block in (
        {"length_ms": 1},
        {"length_ms": 60_000},
        {"sound": {"rate": 22_050}},
        {"plan": []},
        {"plan_of_songs": {}, "songs": []},
        {"quick": "any"},
    ):
        assert not allowed.violations(block), block
    for block in (
        {"length_ms": 0},
        {"length_ms": 60_001},
        {"sound": {"rate": 1}},
        {"sound": {"x": 1}},
        {"x": 1},
        {"plan": 1},
        {"plan_of_songs": []},
        {"songs": {}},
    ):
        assert allowed.violations(block), block
    assert schema["examples"] == [{"quick": True}]


def test_the_schema_says_what_each_model_takes() -> None:
    properties = option_schema("Acme options", (OFFER, OTHER))["properties"]
    assert isinstance(properties, dict)
    assert properties["length_ms"]["description"] == (
        "Overrides duration of the request. one: a whole number from 3000 up to 60000. two: a number from 1 up to 600."
    )
    assert properties["text"]["description"] == (
        "Overrides prompt of the request. one: text of up to 40 characters. two: text."
    )


def test_the_schema_of_settings_has_types_and_defaults() -> None:
    schema = settings_schema(region=("eu", "Where."), tries=(3, "How often."), loud=(False, "If."))
    properties = schema["properties"]
    assert isinstance(properties, dict)
    assert properties["tries"] == {"description": "How often.", "type": "integer", "default": 3}
    assert not SchemaValidator(dict(schema)).violations({"region": "us", "loud": True})
    assert SchemaValidator(dict(schema)).violations({"loud": 1})
    assert SchemaValidator(dict(schema)).violations({"regoin": "us"})


def test_a_setting_has_choices_and_a_text_with_a_default_cannot_be_empty() -> None:
    schema = settings_schema(
        region=("eu", "Where.", ("eu", "us")), model=("m-1", "Which."), group=("", "Of old accounts.")
    )
    validator = SchemaValidator(dict(schema))
    assert not validator.violations({"region": "us", "model": "m-2", "group": ""})
    assert [bool(validator.violations(wrong)) for wrong in ({"region": "asia"}, {"model": ""})] == [
        True,
        True,
    ]


def test_a_setting_may_have_choices() -> None:
    schema = settings_schema(region=("eu", "Where.", ("eu", "us")))
    properties = schema["properties"]
    assert isinstance(properties, dict)
    assert properties["region"] == {
        "description": "Where.",
        "type": "string",
        "enum": ["eu", "us"],
        "default": "eu",
    }
    assert SchemaValidator(dict(schema)).violations({"region": "mars"})
