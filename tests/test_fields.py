"""Declared fields of a native request: what they rule out, and when they contradict each other."""

from typing import Any

import attrs
import pytest

from musicgate.model import (
    Ability,
    Array,
    Choice,
    Field,
    Flag,
    Limits,
    Number,
    Offer,
    Structure,
    Text,
    TextUnit,
)
from musicgate.model import contradiction as contradiction_of

FIELDS: tuple[Field, ...] = (
    Text("prompt", neutral="prompt", carries=("style",), min_chars=3, max_chars=10, unit=TextUnit.UTF16),
    Text("lyrics", neutral="lyrics", max_chars=6, unit=TextUnit.BYTES, required_if=({"custom": True},)),
    Text("title", neutral="title", max_chars=2),
    Number("length_ms", neutral="duration", minimum=3000, maximum=9000, whole=True, per_neutral=1000),
    Number("weight", minimum=0, maximum=1, step=0.01),
    Choice("audio.format", neutral="format", choices=("mp3", "pcm", 1), means={"pcm": "wav"}),
    Flag("custom", excludes=("weight",)),
    Structure("plan", excludes=("prompt",)),
    Text("voice", needs=("custom",)),
)
OFFER = Offer(model="tiny/one", native_model="one", fields=FIELDS)


@pytest.mark.parametrize(
    "native",
    [
        {},
        {"prompt": "abc", "lyrics": None, "title": "", "unknown": object()},
        {"prompt": "🎷🎷🎷🎷🎷", "title": "🎷🎷"},
        {"length_ms": 3000, "weight": 0.65, "audio": {"format": "mp3"}},
        {"length_ms": 9000, "weight": 1, "audio": {}},
        {"plan": {}, "custom": False, "weight": 0},
        {"voice": "v", "custom": True, "lyrics": "la"},
    ],
)
def test_native_request_within_its_declaration(native: dict[str, Any]) -> None:
    assert OFFER.violations(native) == ()


@pytest.mark.parametrize(
    ("native", "name", "rule", "limit"),
    [
        ({"prompt": "ab"}, "prompt", "min_chars", 3),
        ({"prompt": "🎷🎷🎷🎷🎷🎷"}, "prompt", "max_chars", 10),
        ({"prompt": 7}, "prompt", "type", "text"),
        ({"lyrics": "🎷🎷"}, "lyrics", "max_chars", 6),
        ({"custom": True}, "lyrics", "required", None),
        ({"title": "🎷🎷🎷"}, "title", "max_chars", 2),
        ({"length_ms": 2999}, "length_ms", "minimum", 3000),
        ({"length_ms": 9001}, "length_ms", "maximum", 9000),
        ({"length_ms": 4000.5}, "length_ms", "type", "a whole number"),
        ({"length_ms": True}, "length_ms", "type", "a whole number"),
        ({"weight": 0.655}, "weight", "step", 0.01),
        ({"weight": float("nan")}, "weight", "type", "a number"),
        ({"audio": {"format": "ogg"}}, "audio.format", "choices", ["mp3", "pcm", 1]),
        ({"audio": {"format": True}}, "audio.format", "choices", ["mp3", "pcm", 1]),
        ({"custom": "yes", "lyrics": "la"}, "custom", "type", "boolean"),
        ({"plan": "p"}, "plan", "type", "object"),
        ({"plan": {}, "prompt": "abc"}, "plan", "excludes", "prompt"),
        ({"voice": "v"}, "voice", "needs", "custom"),
        ({"voice": "v", "custom": False}, "voice", "needs", "custom"),
    ],
)
def test_violation_names_field_and_limit(native: dict[str, Any], name: str, rule: str, limit: object) -> None:
    (found,) = OFFER.violations(native)
    assert (found.name, found.rule, found.limit) == (name, rule, limit)
    assert limit is None or not isinstance(limit, int) or str(limit) in found.message


def test_limits_and_abilities_follow_from_the_fields() -> None:
    assert OFFER.limits == Limits(
        prompt_chars=10,
        lyrics_chars=6,
        title_chars=2,
        max_duration_s=9.0,
        min_duration_s=3.0,
        min_prompt_chars=3,
        text_unit=TextUnit.UTF16,
    )
    assert OFFER.abilities == {
        Ability.STYLE,
        Ability.LYRICS,
        Ability.TITLE,
        Ability.DURATION,
        Ability.FORMAT,
    }
    plain = Offer(model="a/b", native_model=None)
    assert (plain.limits, plain.abilities) == (Limits(), frozenset())
    assert Limits.of(FIELDS[:1], max_duration_s=300).max_duration_s == 300


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ((Text("a", min_chars=5, max_chars=3),), "the field 'a' takes texts from 5 to 3"),
        ((Text("a", max_chars=0),), "the field 'a' takes texts from 0 to 0"),
        ((Number("a", minimum=2, maximum=1),), "the field 'a' takes numbers from 2 to 1"),
        ((Number("a", step=0),), "the field 'a' has the step 0"),
        ((Number("a", per_neutral=0),), "the field 'a' has 0 units"),
        ((Choice("a", choices=()),), "the field 'a' has nothing to choose from"),
        ((Choice("a", choices=("x",), means={"y": "z"}),), "'y' means"),
        ((Text("a", neutral="tempo"),), "the field 'a' carries 'tempo', which is no neutral field"),
        ((Text("a", carries=("mood",)),), "the field 'a' carries 'mood'"),
        ((Flag("a"), Flag("a")), "the field 'a' is declared twice for the same request"),
        ((Text("a", when={"m": 1}), Text("a"), Flag("m")), "the field 'a' is declared twice"),
        ((Text("a", when={"m": 1}),), "the field 'a' refers to 'm', which is not declared"),
        ((Structure("a", max_items=0),), "the field 'a' takes up to 0 entries"),
        ((Array("a", min_items=3, max_items=2),), "the field 'a' takes from 3 to 2 entries"),
        ((Array("a", max_items=0),), "the field 'a' takes from 0 to 0 entries"),
        ((Array("a", each=Number("", step=0)),), "the field 'a' is a list whose entry has the step 0"),
        (
            (Structure("a", fields=(Flag("b"), Flag("b"))),),
            "the field 'a' is an object: the field 'b' is declared twice",
        ),
        ((Flag("a", needs=("b",)),), "the field 'a' refers to 'b', which is not declared"),
        ((Flag("a", required_if=({"b": 1},)),), "the field 'a' refers to 'b'"),
        ((Text("a", neutral="title"), Text("b", neutral="title")), "'a' and 'b' both carry 'title'"),
    ],
)
def test_fields_that_contradict_each_other_are_named(fields: tuple[Field, ...], message: str) -> None:
    assert contradiction_of(FIELDS) is None
    found = contradiction_of(fields)
    assert found is not None
    assert message in found


@pytest.mark.parametrize(
    ("field", "takes"),
    [
        (FIELDS[0], "text of 3 to 10 UTF-16 units"),
        (Text("a", max_chars=5, unit=TextUnit.BYTES), "text of up to 5 bytes"),
        (Text("a", min_chars=5), "text of at least 5 characters"),
        (Text("a"), "text"),
        (Number("a", minimum=0, maximum=1, step=0.5), "a number from 0 up to 1 in steps of 0.5"),
        (Number("a", whole=True), "a whole number"),
        (FIELDS[5], "mp3, pcm, 1"),
        (Flag("a"), "true or false"),
        (Structure("a"), "an object or a list"),
        (Structure("a", max_items=5), "an object or a list of up to 5 entries"),
        (Structure("a", fields=(Flag("b"), Text("c"))), "an object of b, c"),
        (Array("a"), "a list of entries"),
        (Array("a", min_items=2), "a list of at least 2 entries"),
        (Array("a", each=Flag(""), max_items=5), "a list of up to 5 entries, each true or false"),
        (Array("a", min_items=1, max_items=5), "a list of 1 to 5 entries"),
        (Field("a"), "anything"),
    ],
)
def test_field_says_what_it_takes(field: Field, takes: str) -> None:
    assert field.takes() == takes


SUNG = (
    Flag("custom"),
    Text("prompt", neutral="prompt", max_chars=3, when={"custom": False}),
    Text("prompt", neutral="lyrics", max_chars=5, when={"custom": True}),
    Structure("images", max_items=2),
)


@pytest.mark.parametrize(
    ("native", "limits"),
    [
        ({"custom": False, "prompt": "abcd"}, [3]),
        ({"custom": True, "prompt": "abcd"}, []),
        ({"custom": True, "prompt": "abcdef"}, [5]),
        ({"prompt": "abcdef"}, []),
        ({"images": [1, 2]}, []),
        ({"images": [1, 2, 3]}, [2]),
        ({"images": [1, 2, 3], "custom": False, "prompt": "abcd"}, [3, 2]),
    ],
)
def test_field_may_be_declared_once_for_each_way_in_which_it_is_read(
    native: dict[str, Any], limits: list[int]
) -> None:
    offer = Offer(model="tiny/one", native_model="one", fields=SUNG)
    assert contradiction_of(SUNG) is None
    assert [violation.limit for violation in offer.violations(native)] == limits
    assert (offer.limits.prompt_chars, offer.limits.lyrics_chars) == (3, 5)


def test_fields_of_a_copied_offer_are_those_of_the_copy() -> None:
    other = attrs.evolve(OFFER, fields=(Flag("only"),))
    assert OFFER.declares("prompt")
    assert not other.declares("prompt")
    assert [violation.name for violation in other.violations({"prompt": "ab", "only": 1})] == ["only"]


def test_field_that_is_missing_for_two_reasons_is_one_violation() -> None:
    fields = (Text("a", required_if=({"x": True}, {"y": True})), Flag("x"), Flag("y"))
    offer = Offer(model="tiny/one", native_model="one", fields=fields)
    assert [found.rule for found in offer.violations({"x": True, "y": True})] == ["required"]


@pytest.mark.parametrize(
    ("custom", "prompt", "lyrics"), [(False, "abc", None), (True, None, "abc"), (None, None, None)]
)
def test_neutral_field_is_read_from_the_declaration_that_holds(
    custom: bool | None, prompt: str | None, lyrics: str | None
) -> None:
    offer = Offer(model="tiny/one", native_model="one", fields=SUNG)
    native = {"custom": custom, "prompt": "abc"}
    assert (offer.asked("prompt", native), offer.asked("lyrics", native)) == (prompt, lyrics)


PLAN = (
    Structure(
        "plan",
        fields=(
            Array(
                "parts",
                each=Structure("", fields=(Text("name", required_if=({},)), Number("length.ms", minimum=3))),
                min_items=1,
                max_items=2,
            ),
            Array("styles", each=Text("", max_chars=3)),
        ),
    ),
)


@pytest.mark.parametrize(
    ("plan", "broken"),
    [
        ({"parts": [{"name": "a", "length": {"ms": 3}}], "styles": ["abc"]}, []),
        ([], [("plan", "type")]),
        ({"parts": {}}, [("plan.parts", "type")]),
        ({"parts": []}, [("plan.parts", "min_items")]),
        ({"parts": [1] * 3}, [("plan.parts", "max_items")]),
        ({"parts": [1]}, [("plan.parts.0", "type")]),
        (
            {"parts": [{"name": "a"}, {"length": {"ms": 2}}], "styles": ["abcd", "a", None]},
            [
                ("plan.parts.1.name", "required"),
                ("plan.parts.1.length.ms", "minimum"),
                ("plan.styles.0", "max_chars"),
                ("plan.styles.2", "type"),
            ],
        ),
    ],
)
def test_what_is_declared_of_the_inside_of_a_value_is_checked(
    plan: Any, broken: list[tuple[str, str]]
) -> None:
    found = Offer(model="tiny/one", native_model="one", fields=PLAN).violations({"plan": plan})
    assert sorted((one.where, one.rule) for one in found) == sorted(broken)
    assert {one.name for one in found} <= {"plan"}
