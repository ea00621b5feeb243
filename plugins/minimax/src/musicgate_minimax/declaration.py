"""The declaration of MiniMax: models and what they take, prices, limits, time-outs and settings."""

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Final

import attrs

import musicgate.plugin as mg
import musicgate_schemas
from musicgate.plugin import JobState

BLOCK: Final = "minimax"
DEFAULT_MODEL: Final = "music-2.6"

#: Source: https://platform.minimax.io/docs/guides/pricing-paygo, July 2026.
MAX_DURATION_S: Final = 300.0

#: The contract's error tokens for requests that MiniMax would refuse.
BAD_PROMPT: Final = "invalid_minimax_music_prompt"
BAD_COVER: Final = "invalid_minimax_music_cover_request"
BAD_FORMAT: Final = "unsupported_minimax_music_audio_format"

#: Lyrics of tags only, for a model that makes instrumentals but has no flag for them.
#: Seen: "[intro] [outro]" (MiniMax-AI/cli, early 2026).
INSTRUMENTAL_TAGS: Final = "[Intro]\n[Inst]\n[Outro]"

#: Of a cover. A recording has at most 50 MB; base64 needs four characters for three bytes.
#: Source: https://platform.minimax.io/docs/api-reference/music-generation, July 2026; the seed and its range
#: seen only in the cover command of github.com/MiniMax-AI/cli, May 2026.
_REFERENCE: Final = (
    mg.Text("audio_url"),
    mg.Text("audio_base64", max_chars=50 * 1024 * 1024 * 4 // 3 + 4, reason=BAD_COVER),
    mg.Text("cover_feature_id"),
    mg.Number("seed", neutral="seed", minimum=0, maximum=1_000_000, whole=True, reason=None),
)
_AUDIO: Final = (
    mg.Structure("audio_setting"),
    mg.Choice("audio_setting.format", neutral="format", choices=("mp3", "wav", "pcm"), means={"pcm": "wav"}),
    mg.Choice("audio_setting.sample_rate", choices=(16_000, 24_000, 32_000, 44_100)),
    mg.Choice("audio_setting.bitrate", choices=(32_000, 64_000, 128_000, 256_000)),
    mg.Choice("audio_setting.channel", choices=(1, 2)),
    mg.Choice("output_format", choices=("hex", "url")),
    mg.Flag("stream"),
    mg.Flag("aigc_watermark"),
)


def _fields(
    prompt_chars: tuple[int, int],
    lyrics_chars: int,
    *flags: mg.Flag,
    by_tags: bool = False,
    reference: tuple[mg.Field, ...] = (),
) -> tuple[mg.Field, ...]:
    """Make the fields of a model; lengths are in UTF-16 units.

    ASSUMED: the vendor does not say what a character is; UTF-16 units are never fewer than code points.
    There is no minimum for lyrics: the pages say 10 for some models, and a single word was seen to be
    accepted.

    Args:
        prompt_chars: shortest and longest prompt; from 0 = a song with lyrics needs none.
        lyrics_chars: longest lyrics.
        flags: those that the model has of the two that replace lyrics.
        by_tags: it makes an instrumental of lyrics that are tags only.
        reference: fields of the recording of which it makes a new version.
    """
    tune: dict[str, object] = {"lyrics": INSTRUMENTAL_TAGS} if by_tags else {"is_instrumental": True}
    prompt = mg.Text(
        "prompt",
        neutral="prompt",
        # MiniMax has one text for everything but the lyrics.
        carries=("style", "vocal_gender", "negative_style"),
        min_chars=prompt_chars[0],
        max_chars=prompt_chars[1],
        unit=mg.TextUnit.UTF16,
        # An instrumental needs a prompt.
        required_if=({},) if prompt_chars[0] else (tune,) if flags else (),
        reason=BAD_COVER if reference else BAD_PROMPT,
    )
    lyrics = mg.Text(
        "lyrics",
        neutral="lyrics",
        carries=("instrumental",) if by_tags else (),
        max_chars=lyrics_chars,
        unit=mg.TextUnit.UTF16,
        reason=None,
    )
    return (mg.Text("model"), prompt, lyrics, *flags, *reference, *_AUDIO)


_INSTRUMENTAL: Final = mg.Flag("is_instrumental", neutral="instrumental")
_WRITTEN: Final = mg.Flag("lyrics_optimizer")
#: Also of models that are not listed, except covers.
NEWEST: Final = _fields((0, 2000), 3500, _INSTRUMENTAL, _WRITTEN)
COVER: Final = _fields((10, 300), 1000, reference=_REFERENCE)


#: Of a song of up to five minutes. Source: https://platform.minimax.io/docs/guides/pricing-paygo, July 2026.
_PRICE: Final = (mg.PriceRule.per_song("0.15"),)


def _offer(native: str, fields: tuple[mg.Field, ...], prices: tuple[mg.PriceRule, ...] = ()) -> mg.Offer:
    return mg.Offer(
        model=f"minimax/{native}",
        native_model=native,
        fields=fields,
        formats=("mp3", "wav"),
        limits=mg.Limits.of(fields, max_duration_s=MAX_DURATION_S),
        prices=prices,
        ended=date(2026, 8, 20) if native.endswith("-free") else None,
    )


#: Models by the vendor's names. Source: https://platform.minimax.io/docs/api-reference/music-generation, July
#: 2026, and the pages of each model's release, 2025-06 to 2026-07. For covers no price was found.
MODELS: Final[Mapping[str, mg.Offer]] = MappingProxyType(
    {
        str(offer.native_model): offer
        for offer in (
            # It needs uploaded voices that the option block cannot name: a raw model only.
            _offer("music-01", _fields((0, 2000), 200)),
            # ASSUMED: 3000 characters of lyrics; one page of this model says 600, another 3000. A refusal by
            # the vendor costs nothing.
            _offer("music-1.5", _fields((10, 300), 3000)),
            # Its price: 0.03 and 0.05 USD are both published.
            _offer("music-2.0", _fields((10, 2000), 3000)),
            # Seen: no is_instrumental; lyrics of tags only do (github.com/MiniMax-AI/cli, early 2026).
            _offer("music-2.5", _fields((0, 2000), 3500, _WRITTEN, by_tags=True), _PRICE),
            _offer("music-2.5+", NEWEST, _PRICE),
            _offer("music-2.6", NEWEST, _PRICE),
            _offer("music-2.6-free", NEWEST),
            _offer("music-3.0", NEWEST, _PRICE),
            _offer("music-3.0-free", NEWEST),
            _offer("music-cover", COVER),
            _offer("music-cover-free", COVER),
        )
    }
)
PROVIDER: Final = mg.Provider(
    name="minimax",
    plugin="minimax",
    label="MiniMax Music",
    aliases=("mini-max",),
    base_url="https://api.minimax.io",
    key_env="MINIMAX_API_KEY",
    base_url_env="MINIMAX_BASE_URL",
    offers=(
        attrs.evolve(MODELS[DEFAULT_MODEL], model="minimax/music", native_model=None),
        *(offer for name, offer in MODELS.items() if name != "music-01"),
    ),
    option_block=BLOCK,
    options_schema=musicgate_schemas.load("options/minimax"),
    settings_schema=mg.settings_schema(
        default_model=(DEFAULT_MODEL, "The vendor's model behind minimax/music."),
        group_id=("", "GroupId of old accounts, sent as a query parameter; empty: not sent."),
    ),
    # Numbers of ``data.status``: 2 is done, and no other has been seen. Its texts: none seen; these are
    # those of the documented contract.
    statuses={
        **dict.fromkeys(("success", "succeeded", "completed", "finished", "2", "3"), JobState.COMPLETED),
        **dict.fromkeys(("running", "processing", "in_progress", "1"), JobState.IN_PROGRESS),
        **dict.fromkeys(("queued", "pending", "submitted", "0"), JobState.QUEUED),
        **dict.fromkeys(("failed", "error", "cancelled", "canceled", "-1", "-2"), JobState.FAILED),
    },
    model_option="model",
    model_setting="default_model",
    raw_models=True,
    raw_offers=(MODELS["music-01"], MODELS["music-cover"], _offer("", NEWEST)),
    blocking=True,
    # Never polled; the schedule only says how often an open job is checked.
    poll=mg.PollSchedule(first_s=30.0, min_s=5.0, max_s=15.0),
    # Seen: 30 to over 120 s, usually 90 and more (openclaw/openclaw, 2026); clients wait 180 to 600 s.
    timeouts=mg.Timeouts(create_s=600.0),
    typical_s=90.0,
    deadline_s=900.0,
    # Life of a link: 24 h.
    # Source: https://platform.minimax.io/docs/api-reference/music-generation, July 2026.
    retention_s=86_400.0,
    # Five minutes at 256 kbit/s are about 10 MB of audio, 20 MB as hex.
    max_answer_bytes=64 * 1024 * 1024,
    # Source: https://platform.minimax.io/docs/guides/rate-limits, July 2026 (120 requests a minute,
    # 20 connections).
    max_parallel_creates=20,
    create_window=mg.RateWindow(calls=120, per_s=60.0),
    docs_url="https://platform.minimax.io/docs/api-reference/music-generation",
    rights=mg.Rights(
        watermark=mg.RightsStatement(
            text="on request (`aigc_watermark`), mainland service only",
            source="https://platform.minimaxi.com/docs/api-reference/music-generation",
            as_of="2026",
        ),
        retention=mg.RightsStatement(
            text="links live 24 hours",
            source="https://platform.minimax.io/docs/api-reference/music-generation",
            as_of="2026-07",
        ),
    ),
)


@mg.hookimpl
def provider() -> mg.Provider:
    """Declare MiniMax: one blocking call per song, no polling and no callbacks."""
    return PROVIDER
