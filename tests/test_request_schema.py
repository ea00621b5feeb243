from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import musicgate_schemas
from musicgate import PluginError
from musicgate.codec.schema import (
    SchemaValidator,
    bundle,
    compose_request_schema,
    option_blocks,
)
from musicgate.errors import InvalidRequestError
from tests.fake_vendor import FakeVendor

OWN_BLOCK = {"type": "object", "properties": {"mood": {"type": "string", "enum": ["calm", "wild"]}}}
VENDOR = FakeVendor("one", options_schema=OWN_BLOCK).declared
VALIDATOR = SchemaValidator(compose_request_schema([VENDOR]))


def codes_of_fields(**body: Any) -> list[tuple[list[str | int], str]]:
    return codes_of({"model": "suno/v5", **body})


def codes_of(body: Any) -> list[tuple[list[str | int], str]]:
    return [(list(violation.path), violation.code) for violation in VALIDATOR.violations(body)]


#: Table 3.4 of the contract: body, path, code.
TABLE = [
    ({}, ["model"], "invalid_type"),
    ({"model": 5}, ["model"], "invalid_type"),
    ({"model": ""}, ["model"], "too_small"),
    ({"model": "m", "prompt": None}, ["prompt"], "invalid_type"),
    ({"model": "m", "duration": 0}, ["duration"], "too_small"),
    ({"model": "m", "duration": -3}, ["duration"], "too_small"),
    ({"model": "m", "duration": 1.5}, ["duration"], "invalid_type"),
    ({"model": "m", "duration": "8"}, ["duration"], "invalid_type"),
    ({"model": "m", "duration": True}, ["duration"], "invalid_type"),
    ({"model": "m", "format": "wma"}, ["format"], "invalid_enum_value"),
    ({"model": "m", "provider": []}, ["provider"], "invalid_type"),
    ({"model": "m", "provider": {"only": "suno"}}, ["provider", "only"], "invalid_type"),
    ({"model": "m", "provider": {"only": ["a", 5]}}, ["provider", "only", 1], "invalid_type"),
    ({"model": "m", "provider": {"include_alpha": "yes"}}, ["provider", "include_alpha"], "invalid_type"),
    ({"model": "m", "suno": None}, ["suno"], "invalid_type"),
    ({"model": "m", "suno": {"customMode": "yes"}}, ["suno", "customMode"], "invalid_type"),
    ({"model": "m", "suno": {"vocalGender": "x"}}, ["suno", "vocalGender"], "invalid_enum_value"),
    ({"model": "m", "suno": {"styleWeight": 1.01}}, ["suno", "styleWeight"], "too_big"),
    ({"model": "m", "suno": {"audioWeight": -0.01}}, ["suno", "audioWeight"], "too_small"),
    ({"model": "m", "suno": {"callBackUrl": "not a url"}}, ["suno", "callBackUrl"], "invalid_string"),
    ({"model": "m", "elevenlabs": {"music_length_ms": 0}}, ["elevenlabs", "music_length_ms"], "too_small"),
    ({"model": "m", "echo_upstream_request": 1}, ["echo_upstream_request"], "invalid_type"),
    ({"model": "m", "debug": {"trace_level": "all"}}, ["debug", "trace_level"], "invalid_enum_value"),
    ({"model": "m", "minimax": {"wobble": 1}}, ["minimax", "wobble"], "unrecognized_keys"),
    ({"model": "m", "fake": {"mood": "odd"}}, ["fake", "mood"], "invalid_enum_value"),
    ([], [], "invalid_type"),
    ("text", [], "invalid_type"),
    (None, [], "invalid_type"),
]


@pytest.mark.parametrize(("body", "path", "code"), TABLE)
def test_violations_match_the_table_of_the_contract(body: object, path: list[str | int], code: str) -> None:
    assert codes_of(body) == [(path, code)]


def test_violations_come_in_the_documented_order() -> None:
    body = {
        "debug": 1, "echo_upstream_request": 1, "minimax": 1, "elevenlabs": 1, "suno": 1, "provider": 1,
        "format": 1, "duration": "x", "prompt": 1, "model": 1, "fake": 1,
    }  # fmt: skip
    assert [path for path, _ in codes_of(body)] == [
        ["model"], ["prompt"], ["duration"], ["format"], ["provider"], ["suno"], ["elevenlabs"], ["minimax"],
        ["echo_upstream_request"], ["debug"], ["fake"],
    ]  # fmt: skip


def test_missing_model_comes_first() -> None:
    assert codes_of({"prompt": 5, "duration": 0}) == [
        (["model"], "invalid_type"),
        (["prompt"], "invalid_type"),
        (["duration"], "too_small"),
    ]


def test_each_path_is_reported_once_with_the_first_rule_that_it_breaks() -> None:
    assert codes_of_fields(duration=-1.5) == [(["duration"], "invalid_type")]
    assert codes_of_fields(suno={"callBackUrl": "x\n"}) == [(["suno", "callBackUrl"], "invalid_string")]
    assert codes_of_fields(format=5) == [(["format"], "invalid_type")]


def test_violations_follow_the_order_of_the_properties_not_of_the_rules() -> None:
    alone = SchemaValidator(
        {
            "properties": {"a": {}, "b": {"type": "string"}},
            "required": ["a"],
            "maxProperties": 1,
            "type": "object",
        }
    )
    assert [violation.path for violation in alone.violations({"b": 1})] == [("a",), ("b",)]
    assert [violation.path for violation in alone.violations({"b": 1, "a": 1})] == [(), ("b",)]


def test_violation_carries_the_keyword_and_its_value() -> None:
    (violation,) = VALIDATOR.violations({"model": "m", "suno": {"styleWeight": 2}})
    assert (violation.keyword, violation.params) == ("maximum", {"maximum": 1})
    assert violation.message == "must be at most 1"
    (missing,) = VALIDATOR.violations({})
    assert (missing.keyword, missing.params, missing.message) == (
        "required",
        {"required": "model"},
        "is required",
    )


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"model": 5}, "must be text"),
        ({"model": ""}, "must have at least 1 character(s)"),
        ({"model": "m", "duration": 0}, "must be greater than 0"),
        ({"model": "m", "format": "wma"}, "must be one of mp3, wav, ogg, aac, flac"),
        ({"model": "m", "metadata": {"k": "x" * 513}}, "must have at most 512 characters"),
        ({"model": "m", "minimax": {"wobble": 1}}, "is not known here"),
        ({"model": "m", "suno": {"callBackUrl": "x"}}, "does not have the required form"),
        ([], "must be an object"),
    ],
)
def test_messages_are_sentences_without_schema_keywords(body: object, message: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        VALIDATOR.check(body)
    assert caught.value.violations[0].message == message
    assert message in str(caught.value)


GOOD = [
    *musicgate_schemas.load("request")["examples"],
    {"model": "m", "duration": 8.0},
    {"model": "m", "unknown": None},
    {"model": "m", "provider": {"zdr": 1}, "suno": {"unknown": [1]}, "debug": {"x": 1}},
    {"model": "m", "suno": {"styleWeight": 0, "audioWeight": 1}},
    {"model": " "},
    {"model": "m", "fake": {"mood": "calm", "more": 1}},
]


@pytest.mark.parametrize("body", GOOD)
def test_good_bodies_pass(body: dict[str, Any]) -> None:
    VALIDATOR.check(body)
    assert VALIDATOR.violations(body) == ()


# --- jsonschema-rs ---

_NAMES = st.sampled_from(sorted([*VALIDATOR.properties, "unknown"]))
_VALUES = st.sampled_from(
    [
        *(
            None,
            True,
            False,
            0,
            -1,
            1,
            1.0,
            1.5,
            10**30,
            "",
            "x",
            "mp3",
            "https://a.test/x",
            [],
            ["a"],
            [1],
            {},
        ),
        *({"only": ["a"]}, {"only": [1]}, {"styleWeight": 2}, {"callBackUrl": "x\n"}, {"mood": "calm"}),
        *({"k": "v"}, {"trace_level": "full"}, {"music_length_ms": 1.0}, {"stream": 1}),
    ]
)


@given(st.dictionaries(_NAMES, _VALUES, max_size=6))
def test_jsonschema_rs_and_the_reference_agree(body: dict[str, Any]) -> None:
    assert VALIDATOR._is_valid_fast(body) == (VALIDATOR.violations(body) == ())


def test_a_body_that_jsonschema_rs_refuses_is_checked_by_the_reference(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(VALIDATOR, "_is_valid_fast", lambda _: False)
    VALIDATOR.check({"model": "m"})


# --- composition ---


def test_the_block_of_a_plugin_is_part_of_the_composed_schema() -> None:
    composed = compose_request_schema([VENDOR])
    assert composed["properties"]["fake"] == OWN_BLOCK
    assert option_blocks(composed, [VENDOR]) == {"suno", "elevenlabs", "minimax", "fake"}
    assert option_blocks(compose_request_schema([]), []) == {"suno", "elevenlabs", "minimax"}


def test_the_blocks_of_the_contract_cannot_be_replaced() -> None:
    odd = FakeVendor("one", option_block="suno", options_schema={"type": "string"}).declared
    assert "$ref" in compose_request_schema([odd])["properties"]["suno"]


def test_composed_schema_is_complete_and_a_fresh_copy() -> None:
    composed = compose_request_schema([])
    ids = {part["$id"] for part in composed["$defs"].values()}
    assert {f"urn:musicgate:schema:v1:options:{name}" for name in ("suno", "elevenlabs", "minimax")} <= ids
    composed["properties"].clear()
    assert compose_request_schema([])["properties"]


def test_bundle_embeds_every_schema_that_is_referred_to() -> None:
    assert "urn:musicgate:schema:v1:job" in {
        part["$id"] for part in bundle("plan")["$defs"].values() if "$id" in part
    }


def test_an_invalid_option_schema_names_its_plugin() -> None:
    odd = FakeVendor("one", options_schema={"type": "objekt"}).declared
    with pytest.raises(PluginError, match=r"^plugin one: its option schema is not valid: "):
        compose_request_schema([odd])
