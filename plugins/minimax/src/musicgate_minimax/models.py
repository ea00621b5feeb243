"""What each MiniMax music model takes, as the fields of its native request."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

import attrs

from musicgate.plugin import Choice, Field, Flag, Number, Structure, Text, TextUnit

#: The contract's error tokens for requests that MiniMax would refuse.
BAD_PROMPT: Final = "invalid_minimax_music_prompt"
BAD_COVER: Final = "invalid_minimax_music_cover_request"
BAD_FORMAT: Final = "unsupported_minimax_music_audio_format"

#: Lyrics of tags only, for a model that makes instrumentals but has no flag for them.
#: Seen: "[intro] [outro]" (MiniMax-AI/cli, early 2026).
INSTRUMENTAL_TAGS: Final = "[Intro]\n[Inst]\n[Outro]"
#: Seen: the range of the cover command of github.com/MiniMax-AI/cli, May 2026.
MAX_SEED: Final = 1_000_000
#: A reference recording has at most 50 MB; base64 needs four characters for three bytes.
#: Source: https://platform.minimax.io/docs/api-reference/music-generation, July 2026.
_MAX_BASE64_CHARS: Final = 50 * 1024 * 1024 * 4 // 3 + 4


@attrs.frozen(kw_only=True)
class ModelRules:
    """What one model takes; lengths are in UTF-16 units.

    ASSUMED: the vendor does not say what a character is; UTF-16 units are never fewer than code points.
    There is no minimum for lyrics: the pages say 10 for some models, and a single word was seen to be
    accepted.

    Attributes:
        prompt_min: shortest prompt; 0 = a song with lyrics needs no prompt.
        lyrics_max: longest lyrics.
        takes_instrumental: has ``is_instrumental``.
        takes_optimizer: has ``lyrics_optimizer``.
        instrumental_by_tags: makes an instrumental of lyrics that are tags only.
        is_cover: makes a new version of a reference recording; section "music-cover" of the page.
    """

    prompt_min: int = 0
    prompt_max: int = 2000
    lyrics_max: int = 3500
    takes_instrumental: bool = True
    takes_optimizer: bool = True
    instrumental_by_tags: bool = False
    is_cover: bool = False


#: Source: https://platform.minimax.io/docs/api-reference/music-generation, July 2026.
NEWEST: Final = ModelRules()
_OLD: Final = ModelRules(takes_instrumental=False, takes_optimizer=False)
COVER: Final = attrs.evolve(_OLD, prompt_min=10, prompt_max=300, lyrics_max=1000, is_cover=True)

#: Rules by native model. Source: the pages of each model's release, 2025-06 to 2026-07.
RULES: Final[Mapping[str, ModelRules]] = MappingProxyType(
    {
        "music-01": attrs.evolve(_OLD, lyrics_max=200),
        # ASSUMED: 3000 characters of lyrics; one page of this model says 600, another 3000. A refusal by the
        # vendor costs nothing.
        "music-1.5": attrs.evolve(_OLD, prompt_min=10, prompt_max=300, lyrics_max=3000),
        "music-2.0": attrs.evolve(_OLD, prompt_min=10, lyrics_max=3000),
        # Seen: no is_instrumental; lyrics of tags only do (github.com/MiniMax-AI/cli, early 2026).
        "music-2.5": attrs.evolve(NEWEST, takes_instrumental=False, instrumental_by_tags=True),
        "music-2.5+": NEWEST,
        "music-2.6": NEWEST,
        "music-2.6-free": NEWEST,
        "music-3.0": NEWEST,
        "music-3.0-free": NEWEST,
        "music-cover": COVER,
        "music-cover-free": COVER,
    }
)


def rules_of(native_model: str) -> ModelRules:
    """Rules of a model; an unlisted one has those of the covers or of the newest models, by its name."""
    name = native_model.lower()
    # ASSUMED: later cover models keep the name pattern "music-cover...".
    return RULES.get(name) or (COVER if name.startswith("music-cover") else NEWEST)


def fields_of(rules: ModelRules) -> Iterator[Field]:
    """The native fields of a model.

    Source: https://platform.minimax.io/docs/api-reference/music-generation, July 2026.
    """
    yield Text("model")
    yield Text(
        "prompt",
        neutral="prompt",
        # MiniMax has one text for everything but the lyrics.
        carries=("style", "vocal_gender", "negative_style"),
        min_chars=rules.prompt_min,
        max_chars=rules.prompt_max,
        unit=TextUnit.UTF16,
        required_if=({},) if rules.prompt_min else _tune(rules),
        reason=BAD_COVER if rules.is_cover else BAD_PROMPT,
    )
    carries = ("instrumental",) if rules.instrumental_by_tags else ()
    yield Text(
        "lyrics",
        neutral="lyrics",
        carries=carries,
        max_chars=rules.lyrics_max,
        unit=TextUnit.UTF16,
        reason=None,
    )
    if rules.takes_instrumental:
        yield Flag("is_instrumental", neutral="instrumental")
    if rules.takes_optimizer:
        yield Flag("lyrics_optimizer")
    if rules.is_cover:
        yield Text("audio_url")
        yield Text("audio_base64", max_chars=_MAX_BASE64_CHARS, reason=BAD_COVER)
        yield Text("cover_feature_id")
        # Seen: a seed only in the cover command of github.com/MiniMax-AI/cli, May 2026.
        yield Number("seed", neutral="seed", minimum=0, maximum=MAX_SEED, whole=True, reason=None)
    yield Structure("audio_setting")
    yield Choice(
        "audio_setting.format", neutral="format", choices=("mp3", "wav", "pcm"), means={"pcm": "wav"}
    )
    yield Choice("audio_setting.sample_rate", choices=(16_000, 24_000, 32_000, 44_100))
    yield Choice("audio_setting.bitrate", choices=(32_000, 64_000, 128_000, 256_000))
    yield Choice("audio_setting.channel", choices=(1, 2))
    yield Choice("output_format", choices=("hex", "url"))
    yield Flag("stream")
    yield Flag("aigc_watermark")


def _tune(rules: ModelRules) -> tuple[Mapping[str, object], ...]:
    """What makes a request one for an instrumental, which needs a prompt."""
    if rules.takes_instrumental:
        return ({"is_instrumental": True},)
    return ({"lyrics": INSTRUMENTAL_TAGS},) if rules.instrumental_by_tags else ()
