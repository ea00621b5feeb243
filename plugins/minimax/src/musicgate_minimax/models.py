"""What each MiniMax music model takes, as the fields of its native request."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from musicgate.plugin import Choice, Field, Flag, Number, Structure, Text, TextUnit

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
    Text("audio_url"),
    Text("audio_base64", max_chars=50 * 1024 * 1024 * 4 // 3 + 4, reason=BAD_COVER),
    Text("cover_feature_id"),
    Number("seed", neutral="seed", minimum=0, maximum=1_000_000, whole=True, reason=None),
)
_AUDIO: Final = (
    Structure("audio_setting"),
    Choice("audio_setting.format", neutral="format", choices=("mp3", "wav", "pcm"), means={"pcm": "wav"}),
    Choice("audio_setting.sample_rate", choices=(16_000, 24_000, 32_000, 44_100)),
    Choice("audio_setting.bitrate", choices=(32_000, 64_000, 128_000, 256_000)),
    Choice("audio_setting.channel", choices=(1, 2)),
    Choice("output_format", choices=("hex", "url")),
    Flag("stream"),
    Flag("aigc_watermark"),
)


def _fields(
    prompt_chars: tuple[int, int],
    lyrics_chars: int,
    *flags: Flag,
    by_tags: bool = False,
    reference: tuple[Field, ...] = (),
) -> tuple[Field, ...]:
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
    prompt = Text(
        "prompt",
        neutral="prompt",
        # MiniMax has one text for everything but the lyrics.
        carries=("style", "vocal_gender", "negative_style"),
        min_chars=prompt_chars[0],
        max_chars=prompt_chars[1],
        unit=TextUnit.UTF16,
        # An instrumental needs a prompt.
        required_if=({},) if prompt_chars[0] else (tune,) if flags else (),
        reason=BAD_COVER if reference else BAD_PROMPT,
    )
    lyrics = Text(
        "lyrics",
        neutral="lyrics",
        carries=("instrumental",) if by_tags else (),
        max_chars=lyrics_chars,
        unit=TextUnit.UTF16,
        reason=None,
    )
    return (Text("model"), prompt, lyrics, *flags, *reference, *_AUDIO)


_INSTRUMENTAL: Final = Flag("is_instrumental", neutral="instrumental")
_WRITTEN: Final = Flag("lyrics_optimizer")
#: Also of models that are not listed, except covers.
NEWEST: Final = _fields((0, 2000), 3500, _INSTRUMENTAL, _WRITTEN)
_COVER: Final = _fields((10, 300), 1000, reference=_REFERENCE)

#: Fields by native model. Source: https://platform.minimax.io/docs/api-reference/music-generation, July 2026,
#: and the pages of each model's release, 2025-06 to 2026-07.
FIELDS: Final[Mapping[str, tuple[Field, ...]]] = MappingProxyType(
    {
        "music-01": _fields((0, 2000), 200),
        # ASSUMED: 3000 characters of lyrics; one page of this model says 600, another 3000. A refusal by the
        # vendor costs nothing.
        "music-1.5": _fields((10, 300), 3000),
        "music-2.0": _fields((10, 2000), 3000),
        # Seen: no is_instrumental; lyrics of tags only do (github.com/MiniMax-AI/cli, early 2026).
        "music-2.5": _fields((0, 2000), 3500, _WRITTEN, by_tags=True),
        **dict.fromkeys(("music-2.5+", "music-2.6", "music-2.6-free", "music-3.0", "music-3.0-free"), NEWEST),
        **dict.fromkeys(("music-cover", "music-cover-free"), _COVER),
    }
)
