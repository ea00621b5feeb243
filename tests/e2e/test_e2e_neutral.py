"""The neutral request: sent in each vendor's own words, or reported, or (strict) refused; and it decides who is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.e2e.house import House, OpenHouse

pytestmark = pytest.mark.asyncio(loop_scope="module")

LYRICS = "[Verse]\nRow on, row on"
SONG: dict[str, Any] = {
    "prompt": "a river at dawn",
    "lyrics": LYRICS,
    "style": "indie folk",
    "title": "Row On",
    "negative_style": "metal",
    "instrumental": False,
    "vocal_gender": "f",
    "seed": 42,
    "duration": 30,
    "format": "wav",
}
INSTRUMENTAL: dict[str, Any] = {
    "prompt": "a river at dawn",
    "style": "indie folk",
    "title": "Row On",
    "negative_style": "metal",
    "instrumental": True,
}
ELEVEN_PROMPT = (
    "a river at dawn\n\nStyle: indie folk\n\nVocals: female lead vocals\n\nAvoid: metal\n\nLyrics:\n" + LYRICS
)
SOUND = {"sample_rate": 44100, "bitrate": 256000}

#: Plugin, model, wish, what the vendor is sent (without the callback URL), what is reported as not applied, what as changed.
TRANSLATIONS: list[tuple[str, str, dict[str, Any], dict[str, Any], set[str], set[str]]] = [
    (
        "suno_kie",
        "suno/v5",
        SONG,
        {
            "model": "V5",
            "customMode": True,
            "instrumental": False,
            "prompt": LYRICS,
            "style": "indie folk",
            "title": "Row On",
            "negativeTags": "metal",
            "vocalGender": "f",
        },
        {"prompt", "duration", "format", "seed"},
        set(),
    ),
    (
        "suno_kie",
        "suno/v5.5",
        SONG,
        {
            "model": "V5_5",
            "customMode": True,
            "instrumental": False,
            "prompt": LYRICS,
            "style": "indie folk",
            "title": "Row On",
            "negativeTags": "metal",
            "vocalGender": "f",
            "duration": 30,
        },
        {"prompt", "format", "seed"},
        set(),
    ),
    (
        "suno_kie",
        "suno/v5",
        INSTRUMENTAL,
        {
            "model": "V5",
            "customMode": True,
            "instrumental": True,
            "prompt": "a river at dawn",
            "style": "indie folk",
            "title": "Row On",
            "negativeTags": "metal",
        },
        set(),
        {"prompt"},
    ),
    (
        "apiin_one",
        "suno/v5",
        SONG,
        {
            "model": "suno-v5-0",
            "prompt": LYRICS,
            "style": "indie folk, a river at dawn",
            "title": "Row On",
            "tags": "metal",
            "make_instrumental": False,
        },
        {"vocal_gender", "duration", "format", "seed"},
        {"prompt"},
    ),
    (
        "apiin_one",
        "suno/v5",
        INSTRUMENTAL,
        {
            "model": "suno-v5-0",
            "prompt": "[Instrumental]",
            "style": "indie folk, a river at dawn",
            "title": "Row On",
            "tags": "metal",
            "make_instrumental": True,
        },
        set(),
        {"prompt"},
    ),
    (
        "elevenlabs",
        "elevenlabs/music",
        SONG,
        {
            "model_id": "music_v2",
            "prompt": ELEVEN_PROMPT,
            "music_length_ms": 30000,
            "force_instrumental": False,
            "seed": 42,
        },
        {"title"},
        {"style", "vocal_gender", "negative_style", "lyrics"},
    ),
    (
        "elevenlabs",
        "elevenlabs/music_v1",
        INSTRUMENTAL,
        {
            "model_id": "music_v1",
            "prompt": "a river at dawn\n\nStyle: indie folk\n\nAvoid: metal",
            "force_instrumental": True,
        },
        {"title"},
        {"style", "negative_style"},
    ),
    (
        "minimax",
        "minimax/music-2.6",
        SONG,
        {
            "model": "music-2.6",
            "prompt": "a river at dawn. Style: indie folk. Vocals: female. Avoid: metal",
            "lyrics": LYRICS,
            "audio_setting": {**SOUND, "format": "wav"},
            "output_format": "hex",
        },
        {"title", "seed", "duration"},
        {"style", "vocal_gender", "negative_style"},
    ),
    (
        "minimax",
        "minimax/music-2.6",
        INSTRUMENTAL,
        {
            "model": "music-2.6",
            "prompt": "a river at dawn. Style: indie folk. Avoid: metal",
            "is_instrumental": True,
            "audio_setting": {**SOUND, "format": "mp3"},
            "output_format": "hex",
        },
        {"title"},
        {"style", "negative_style"},
    ),
]


@pytest.mark.parametrize(
    ("plugin", "model", "wish", "sent", "not_applied", "changed"),
    TRANSLATIONS,
    ids=[f"{row[0]}-{row[1]}-{'instrumental' if row[2] is INSTRUMENTAL else 'song'}" for row in TRANSLATIONS],
)
async def test_every_neutral_wish_is_sent_or_reported(
    house: House,
    plugin: str,
    model: str,
    wish: dict[str, Any],
    sent: dict[str, Any],
    not_applied: set[str],
    changed: set[str],
) -> None:
    body = {**wish, "model": model, "provider": {"only": [plugin]}}
    with house.watch(plugin) as seen:
        reply = await house.create(body)
    assert reply.status == 200, reply.raw
    upstream = {key: value for key, value in seen.body.items() if key not in {"callBackUrl", "callback_url"}}
    assert upstream == sent
    told: dict[str, set[str]] = {"not_applied": set(), "changed": set()}
    for warning in reply.body.get("warnings", []):
        told[warning["code"]].add(".".join(warning["path"]))
        assert warning["provider_plugin"] == plugin
        assert warning["message"]
    assert told == {"not_applied": not_applied, "changed": changed}
    if plugin == "elevenlabs" and "format" in wish:
        assert seen.creates[0].url.endswith("/v1/music?output_format=pcm_44100")
    final = await house.finish(reply.body["id"])
    assert (final["status"], final.get("warnings")) == ("completed", reply.body.get("warnings"))


@pytest.mark.parametrize(
    ("model", "plugin", "wish", "option"),
    [
        ("suno/v5", "suno_kie", {"prompt": "x", "seed": 1}, "seed"),
        ("suno/v5", "suno_kie", {"prompt": "x", "duration": 30}, "duration"),
        ("suno/v5", "apiin_one", {"prompt": "x", "format": "wav"}, "format"),
        ("elevenlabs/music", "elevenlabs", {"prompt": "x", "title": "t"}, "title"),
        ("minimax/music-2.6", "minimax", {"prompt": "x", "duration": 30}, "duration"),
        ("minimax/music-2.6", "minimax", {"prompt": "x", "style": "jazz"}, "style"),
    ],
)
async def test_strict_handling_turns_a_warning_into_a_refusal_by_name(
    house: House, model: str, plugin: str, wish: dict[str, Any], option: str
) -> None:
    body = {**wish, "model": model, "provider": {"only": [plugin]}}
    with house.watch() as seen:
        refused = await house.create(body, Prefer="handling=strict")
    assert (refused.status, refused.body["error"], refused.body["reason"]) == (
        400,
        "not_supported",
        "unsupported_option",
    )
    assert refused.body["description"].startswith(f"{option}:")
    assert seen.creates == []
    lenient = await house.create(body)
    assert [warning["path"] for warning in lenient.body["warnings"]] == [[option]]


async def test_strict_handling_of_a_wish_that_can_be_followed_is_no_refusal(house: House) -> None:
    body = {"model": "suno/v5", "lyrics": LYRICS, "style": "folk", "title": "Row On", "vocal_gender": "m"}
    reply = await house.create(body, Prefer="handling=strict")
    assert reply.status == 200
    assert "warnings" not in reply.body


#: By default kie is asked first; the operator here prefers apiin.one. What one of them cannot express goes to the other.
@pytest.mark.parametrize(
    ("preferred", "wish", "asked"),
    [
        ("suno_kie", {"prompt": "rain"}, "suno_kie"),
        ("apiin_one", {"prompt": "rain"}, "apiin_one"),
        ("apiin_one", {"lyrics": LYRICS, "style": "folk", "title": "Row", "vocal_gender": "f"}, "suno_kie"),
        ("suno_kie", {"prompt": "a river", "lyrics": LYRICS, "style": "folk", "title": "Row"}, "apiin_one"),
    ],
)
async def test_a_neutral_option_decides_who_is_asked(
    open_house: OpenHouse, preferred: str, wish: dict[str, Any], asked: str
) -> None:
    async with open_house(tables={preferred: {"priority": 1}}) as house:
        body = {"model": "suno/v5", **wish}
        plan = await house.call("POST", "/v1/music/plan", body=body)
        created = await house.create(body)
        insisted = await house.create({**body, "provider": {"order": [preferred]}})
    assert plan.body["candidates"][0]["provider_plugin"] == asked
    assert created.body["provider_plugin"] == asked
    assert insisted.body["provider_plugin"] == preferred


async def test_strict_handling_goes_to_whoever_can_follow_all(house: House) -> None:
    """The only difference is one field: kie has it, apiin.one would have to leave it out."""
    body = {
        "model": "suno/v5",
        "lyrics": LYRICS,
        "style": "folk",
        "title": "Row",
        "vocal_gender": "f",
        "provider": {"order": ["apiin_one"]},
    }
    reply = await house.create(body, Prefer="handling=strict")
    assert (reply.status, reply.body["provider_plugin"]) == (200, "suno_kie")


@pytest.mark.parametrize(
    ("model", "block", "path", "sent"),
    [
        ("suno/v5", {"suno": {"customMode": True, "prompt": "own words"}}, "prompt", "own words"),
        ("suno/v5", {"suno": {"customMode": True, "negativeTags": "own"}}, "negativeTags", "own"),
        ("suno/v5", {"suno": {"customMode": True, "vocalGender": "m"}}, "vocalGender", "m"),
        ("elevenlabs/music", {"elevenlabs": {"music_length_ms": 5000}}, "music_length_ms", 5000),
        ("elevenlabs/music", {"elevenlabs": {"seed": 0}}, "seed", 0),
        ("minimax/music-2.6", {"minimax": {"lyrics": "own words"}}, "lyrics", "own words"),
    ],
)
async def test_a_vendors_own_block_beats_the_neutral_field(
    house: House, model: str, block: dict[str, Any], path: str, sent: object
) -> None:
    plan = await house.call("POST", "/v1/music/plan", body={"model": model, **SONG, **block})
    assert plan.status == 200, plan.raw
    assert plan.body["candidates"][0]["upstream_request"]["body"][path] == sent


async def test_metadata_comes_back_and_reaches_no_vendor(house: House) -> None:
    with house.watch() as seen:
        created = await house.create({"model": "suno/v5", "prompt": "rain", "metadata": {"project": "river"}})
    assert created.body["metadata"] == {"project": "river"}
    assert (await house.get(created.body["id"])).body["metadata"] == {"project": "river"}
    assert b"river" not in seen.creates[0].body
