"""What the request schema accepts and what it refuses, path by path."""

from collections.abc import Callable
from typing import Any

import pytest

Path = tuple[str | int, ...]
Violations = Callable[[str, object], list[tuple[Path, str]]]

MODEL = {"model": "suno/v4.5plus"}
TEXTS_OF_SUNO = ("prompt", "style", "title", "personaId", "personaModel", "model", "negativeTags")
WEIGHTS = ("styleWeight", "weirdnessConstraint", "audioWeight")
FLAGS_OF_ELEVENLABS = ("force_instrumental", "store_for_inpainting", "with_timestamps", "sign_with_c2pa")
FLAGS_OF_MINIMAX = ("lyrics_optimizer", "is_instrumental", "stream", "aigc_watermark")
FLAGS_OF_DEBUG = (
    "enabled",
    "return_upstream_request",
    "returnUpstreamRequest",
    "return_upstream_response",
    "returnUpstreamResponse",
    "trace",
)

ACCEPTED: dict[str, dict[str, Any]] = {
    "only a model": {},
    "blank model, refused later by its own check": {"model": "   "},
    "unknown top-level keys": {"voice": None, "temperature": 0.5},
    "empty prompt": {"prompt": ""},
    "smallest duration": {"duration": 1},
    "whole number written with a zero fraction": {"duration": 8.0},
    "empty blocks": {"provider": {}, "suno": {}, "elevenlabs": {}, "minimax": {}, "debug": {}},
    "routing": {"provider": {"order": ["suno"], "only": [], "ignore": ["MiniMax"], "allow_fallbacks": False}},
    "routing in both spellings": {"provider": {"include_alpha": True, "includeAlpha": False}},
    "routing keys without effect": {"provider": {"sort": "price", "max_price": {"prompt": 1}, "zdr": None}},
    "routing keys that are null": {
        "provider": dict.fromkeys(
            ("order", "only", "ignore", "include_alpha", "includeAlpha", "allow_fallbacks")
        )
    },
    "weights at both ends": {"suno": {"styleWeight": 0, "weirdnessConstraint": 1, "audioWeight": 1.0}},
    "weights without step": {"suno": {"styleWeight": 0.123456}},
    "unknown suno keys": {"suno": {"brandNew": {"a": [1]}, "duration": 20, "nothing": None}},
    "suno texts without limits": {"suno": {"prompt": "x" * 20_000, "style": "", "title": "y" * 500}},
    "empty suno texts": {"suno": dict.fromkeys(TEXTS_OF_SUNO, "")},
    "callback": {"suno": {"callBackUrl": "https://example.com:8443/a?b=c#d"}},
    "callback with unicode": {"suno": {"callBackUrl": "https://müsik.example/ü"}},
    "unknown elevenlabs keys": {"elevenlabs": {"seed": 7, "finetune_id": None, "generation_mode": "loop"}},
    "composition plan of any kind": {"elevenlabs": {"composition_plan": {"chunks": [{"text": None}]}}},
    "elevenlabs flags": {"elevenlabs": dict.fromkeys(FLAGS_OF_ELEVENLABS, False)},
    "minimax flags": {"minimax": dict.fromkeys(FLAGS_OF_MINIMAX, True)},
    "minimax at its limits": {"minimax": {"prompt": "p" * 2000, "lyrics": "l" * 3500, "seed": 1_000_000}},
    "minimax limits count code points": {"minimax": {"prompt": "\N{MUSICAL NOTE}\N{GUITAR}" * 1000}},
    "blank minimax lyrics": {"minimax": {"lyrics": ""}},
    "minimax encoding": {
        "minimax": {
            "audio_setting": {"sample_rate": 44100, "bitrate": 256000, "format": "pcm", "channel": 2},
            "output_format": "hex",
        }
    },
    "minimax cover": {
        "minimax": {"model": "music-cover", "audio_url": "http://example.com/a.mp3", "seed": 0}
    },
    "minimax prepared cover": {"minimax": {"cover_feature_id": "f", "audio_base64": "SUQz"}},
    "switches": {"echo_upstream_request": False, "meta": True},
    "debug": {"debug": {**dict.fromkeys(FLAGS_OF_DEBUG, True), "trace_level": "full", "x": None}},
    "debug in both spellings": {"debug": {"trace_level": "summary", "traceLevel": "full"}},
    "neutral fields": {
        "lyrics": "",
        "style": "jazz",
        "title": "",
        "negative_style": "metal",
        "instrumental": True,
        "vocal_gender": "m",
        "seed": 0,
    },
    "webhook": {"webhook_url": "HTTP://localhost:9000"},
    "metadata at its limits": {"metadata": {f"{i:064d}": "v" * 512 for i in range(16)}},
    "empty metadata": {"metadata": {"": ""}},
}

#: fields beside the model -> path and keyword of the violation
REFUSED: list[tuple[dict[str, Any], Path, str]] = [
    # The fields of the contract.
    *[({"model": value}, ("model",), "type") for value in (5, None)],
    ({"model": ""}, ("model",), "minLength"),
    *[({"prompt": value}, ("prompt",), "type") for value in (5, None)],
    *[({"duration": value}, ("duration",), "exclusiveMinimum") for value in (0, -3)],
    *[({"duration": value}, ("duration",), "type") for value in (0.5, 8.5, "8", True, None)],
    *[({"format": value}, ("format",), "enum") for value in ("wma", "MP3")],
    *[({"provider": value}, ("provider",), "type") for value in ("suno", ["suno"], None)],
    *[({"provider": {key: "suno"}}, ("provider", key), "type") for key in ("order", "only", "ignore")],
    *[({"provider": {key: ["a", 1]}}, ("provider", key, 1), "type") for key in ("order", "only", "ignore")],
    *[
        ({"provider": {key: value}}, ("provider", key), "type")
        for key in ("include_alpha", "includeAlpha", "allow_fallbacks")
        for value in ("true", 1)
    ],
    *[({"suno": value}, ("suno",), "type") for value in (["x"], "x", None)],
    *[
        ({"suno": {key: value}}, ("suno", key), "type")
        for key in ("customMode", "instrumental")
        for value in ("true", 0, None)
    ],
    *[({"suno": {key: value}}, ("suno", key), "type") for key in TEXTS_OF_SUNO for value in (1, None)],
    ({"suno": {"vocalGender": "x"}}, ("suno", "vocalGender"), "enum"),
    ({"suno": {"vocalGender": "male"}}, ("suno", "vocalGender"), "enum"),
    *[({"suno": {key: 1.01}}, ("suno", key), "maximum") for key in WEIGHTS],
    *[({"suno": {key: -0.01}}, ("suno", key), "minimum") for key in WEIGHTS],
    *[({"suno": {key: value}}, ("suno", key), "type") for key in WEIGHTS for value in (True, "0.5", None)],
    *[
        ({"suno": {"callBackUrl": value}}, ("suno", "callBackUrl"), "pattern")
        for value in (
            "",
            "nonsense",
            "not a url",
            "/relative",
            "//example.com",
            "https://",
            "https:///a",
            " https://a",
        )
    ],
    ({"suno": {"callBackUrl": "https://example.com/a b"}}, ("suno", "callBackUrl"), "pattern"),
    ({"suno": {"callBackUrl": "https://example.com/a\r\nX: y"}}, ("suno", "callBackUrl"), "pattern"),
    ({"suno": {"callBackUrl": 5}}, ("suno", "callBackUrl"), "type"),
    ({"elevenlabs": "x"}, ("elevenlabs",), "type"),
    *[
        ({"elevenlabs": {key: value}}, ("elevenlabs", key), "type")
        for key in ("prompt", "model_id", "output_format")
        for value in (1, None)
    ],
    *[({"elevenlabs": {key: "true"}}, ("elevenlabs", key), "type") for key in FLAGS_OF_ELEVENLABS],
    *[
        ({"elevenlabs": {"composition_plan": x}}, ("elevenlabs", "composition_plan"), "type")
        for x in (["x"], None)
    ],
    ({"elevenlabs": {"music_length_ms": 0}}, ("elevenlabs", "music_length_ms"), "exclusiveMinimum"),
    ({"elevenlabs": {"music_length_ms": 1.5}}, ("elevenlabs", "music_length_ms"), "type"),
    ({"elevenlabs": {"music_length_ms": True}}, ("elevenlabs", "music_length_ms"), "type"),
    ({"minimax": None}, ("minimax",), "type"),
    ({"minimax": {"prompt": "p" * 2001}}, ("minimax", "prompt"), "maxLength"),
    ({"minimax": {"lyrics": "l" * 3501}}, ("minimax", "lyrics"), "maxLength"),
    *[({"minimax": {key: 1}}, ("minimax", key), "type") for key in FLAGS_OF_MINIMAX],
    *[
        ({"minimax": {key: 1}}, ("minimax", key), "type")
        for key in (
            "model",
            "prompt",
            "lyrics",
            "audio_base64",
            "cover_feature_id",
            "audio_url",
            "audio_setting",
        )
    ],
    *[
        ({"minimax": {key: ""}}, ("minimax", key), "minLength")
        for key in ("model", "audio_base64", "cover_feature_id")
    ],
    ({"minimax": {"output_format": "mp3"}}, ("minimax", "output_format"), "enum"),
    ({"minimax": {"audio_url": "nonsense"}}, ("minimax", "audio_url"), "pattern"),
    *[
        ({"minimax": {"audio_setting": {key: value}}}, ("minimax", "audio_setting", key), "enum")
        for key, value in (("sample_rate", 48000), ("bitrate", 128), ("format", "ogg"), ("channel", 3))
    ],
    ({"minimax": {"audio_setting": {"volume": 1}}}, ("minimax", "audio_setting"), "additionalProperties"),
    ({"minimax": {"seed": -1}}, ("minimax", "seed"), "minimum"),
    ({"minimax": {"seed": 1_000_001}}, ("minimax", "seed"), "maximum"),
    ({"minimax": {"seed": 1.5}}, ("minimax", "seed"), "type"),
    *[
        ({"minimax": {key: 8}}, ("minimax",), "additionalProperties")
        for key in ("duration", "callback_url", "request", "group_id")
    ],
    *[({"echo_upstream_request": value}, ("echo_upstream_request",), "type") for value in ("true", 1, None)],
    ({"debug": True}, ("debug",), "type"),
    *[({"debug": {key: "true"}}, ("debug", key), "type") for key in FLAGS_OF_DEBUG],
    ({"debug": {"trace_level": "loud"}}, ("debug", "trace_level"), "enum"),
    ({"debug": {"traceLevel": "loud"}}, ("debug", "traceLevel"), "enum"),
    *[({"meta": value}, ("meta",), "type") for value in ("true", 1, None)],
    # The neutral fields.
    *[
        ({key: value}, (key,), "type")
        for key in ("lyrics", "style", "title", "negative_style", "webhook_url")
        for value in (1, None)
    ],
    *[({"instrumental": value}, ("instrumental",), "type") for value in ("true", 1, None)],
    *[({"vocal_gender": value}, ("vocal_gender",), "enum") for value in ("male", "female", "M", "")],
    ({"seed": -1}, ("seed",), "minimum"),
    *[({"seed": value}, ("seed",), "type") for value in (1.5, "1", True, None)],
    *[
        ({"webhook_url": value}, ("webhook_url",), "pattern")
        for value in (
            "",
            "example.com",
            "ftp://example.com",
            "https://",
            "https://example.com/a b",
            "javascript:x",
        )
    ],
    ({"metadata": None}, ("metadata",), "type"),
    ({"metadata": {"a": 1}}, ("metadata", "a"), "type"),
    ({"metadata": {"a": "v" * 513}}, ("metadata", "a"), "maxLength"),
    ({"metadata": {"k" * 65: "v"}}, ("metadata",), "maxLength"),
    ({"metadata": {str(i): "v" for i in range(17)}}, ("metadata",), "maxProperties"),
]


@pytest.mark.parametrize("fields", ACCEPTED.values(), ids=ACCEPTED)
def test_request_is_accepted(fields: dict[str, Any], violations: Violations) -> None:
    assert violations("request", MODEL | fields) == []


@pytest.mark.parametrize(("fields", "path", "keyword"), REFUSED, ids=lambda value: str(value)[:60])
def test_request_is_refused_with_one_violation_at_its_path(
    fields: dict[str, Any], path: Path, keyword: str, violations: Violations
) -> None:
    assert violations("request", MODEL | fields) == [(path, keyword)]


@pytest.mark.parametrize("body", [[], "text", None, 5, True], ids=repr)
def test_body_that_is_not_an_object_is_refused_at_the_top(body: object, violations: Violations) -> None:
    assert violations("request", body) == [((), "type")]


def test_missing_model_is_refused_by_required(violations: Violations) -> None:
    assert violations("request", {"prompt": "x"}) == [((), "required")]


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"format": 5}, ("format",)),
        ({"format": None}, ("format",)),
        ({"vocal_gender": True}, ("vocal_gender",)),
        ({"suno": {"vocalGender": None}}, ("suno", "vocalGender")),
        ({"debug": {"trace_level": None}}, ("debug", "trace_level")),
        ({"debug": {"traceLevel": 1}}, ("debug", "traceLevel")),
        ({"minimax": {"output_format": None}}, ("minimax", "output_format")),
        *[
            ({"minimax": {"audio_setting": {key: True}}}, ("minimax", "audio_setting", key))
            for key in ("sample_rate", "bitrate", "format", "channel")
        ],
    ],
    ids=str,
)
def test_wrong_type_for_an_enum_is_reported_as_type_first(
    fields: dict[str, Any], path: Path, violations: Violations
) -> None:
    assert violations("request", MODEL | fields) == [(path, "type"), (path, "enum")]


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"suno": {"callBackUrl": "https://example.com/\n"}}, ("suno", "callBackUrl")),
        ({"minimax": {"audio_url": "https://example.com/\n"}}, ("minimax", "audio_url")),
        ({"webhook_url": "https://example.com/\n"}, ("webhook_url",)),
    ],
    ids=str,
)
def test_final_line_feed_does_not_slip_through_a_url(
    fields: dict[str, Any], path: Path, violations: Violations
) -> None:
    """Python's $ matches before a final line feed, so it is ``not`` that catches it."""
    assert violations("request", MODEL | fields) == [(path, "not")]


def test_violations_are_reported_in_the_order_of_the_schema(violations: Violations) -> None:
    wrong = {
        "metadata": 1,
        "debug": 1,
        "echo_upstream_request": 1,
        "minimax": 1,
        "elevenlabs": {"music_length_ms": 0},
        "suno": {"audioWeight": 2, "customMode": 1},
        "provider": {"include_alpha": 1, "only": [1]},
        "format": "x",
        "duration": 0,
        "prompt": 1,
        "model": 1,
    }
    assert [path for path, _ in violations("request", wrong)] == [
        ("model",),
        ("prompt",),
        ("duration",),
        ("format",),
        ("provider", "only", 0),
        ("provider", "include_alpha"),
        ("suno", "customMode"),
        ("suno", "audioWeight"),
        ("elevenlabs", "music_length_ms"),
        ("minimax",),
        ("echo_upstream_request",),
        ("debug",),
        ("metadata",),
    ]


@pytest.mark.parametrize("name", ["suno", "elevenlabs", "minimax"])
def test_option_block_alone_gives_the_violations_of_the_request(name: str, violations: Violations) -> None:
    block = {"prompt": 1}
    assert violations(f"options/{name}", block) == [(("prompt",), "type")]
    assert violations("request", MODEL | {name: block}) == [((name, "prompt"), "type")]
