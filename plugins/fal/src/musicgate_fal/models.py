"""The models of fal: one entry each, data only. A new model is a new entry; nothing else changes.

Each native field names the neutral field that it carries. An instrumental is asked for by the flag that
carries ``instrumental``, or, where the lyrics carry it, by the lyrics ``[inst]``.

Sources, unless an entry says otherwise: github.com/fal-ai/fal-js libs/client/src/types/endpoints.ts,
2026-08-02, and fal.ai/models/<id>/llms.txt, 2026-08 and 2026-09. Prices: api.fal.ai/v1/models/pricing, read
August and September 2026; there is none where two readings contradict each other. Text is counted in
characters, as pydantic does.
"""

from typing import Final

import attrs

from musicgate.plugin import (
    Choice,
    Field,
    Flag,
    JsonObject,
    Number,
    Offer,
    PriceRule,
    Rights,
    RightsStatement,
    Structure,
    Text,
)


@attrs.frozen(kw_only=True)
class Model(Offer):
    """An endpoint of fal.

    Attributes:
        output: key of the audio in its answer; ``audio[]`` is a list.
    """

    output: str = "audio"

    def songs(self, native: JsonObject) -> int:
        """How many songs an input asks for."""
        count = native.get("num_samples")
        return count if isinstance(count, int) else 1


def model(
    endpoint: str,
    fields: tuple[Field, ...],
    price: PriceRule | None = None,
    formats: tuple[str, ...] = ("mp3",),
    output: str = "audio",
) -> Model:
    """Make a model, with the public id ``fal/`` and its endpoint without fal's own name.

    Args:
        formats: containers that it makes, the usual one first.
    """
    return Model(
        model=f"fal/{endpoint.removeprefix('fal-ai/')}".lower(),
        aliases=(f"fal/{endpoint}",),
        native_model=endpoint,
        fields=fields,
        formats=formats,
        prices=(price,) if price else (),
        output=output,
    )


_per_song, _per_second = PriceRule.per_song, PriceRule.per_second

_ALWAYS: Final[tuple[JsonObject]] = ({},)
_SEED: Final = Number("seed", neutral="seed", whole=True)
_NEGATIVE: Final = Text("negative_prompt", neutral="negative_style")
#: A prompt that is all the words a model takes: a style, or lyrics, becomes part of it.
_PROMPT: Final = Text("prompt", neutral="prompt", carries=("style",), required_if=_ALWAYS)
_SONG_PROMPT: Final = Text("prompt", neutral="prompt", carries=("style", "lyrics"), required_if=_ALWAYS)


def _audio_setting(formats: tuple[str, ...], rates: tuple[int, ...], *, channels: bool) -> tuple[Choice, ...]:
    # Bare pcm, which the pages list as well, is no file that plays.
    fields = (
        Choice("audio_setting.format", neutral="format", choices=formats),
        Choice("audio_setting.sample_rate", choices=rates),
        Choice("audio_setting.bitrate", choices=(32_000, 64_000, 128_000, 256_000)),
    )
    return (*fields, Choice("audio_setting.channel", choices=(1, 2))) if channels else fields


_MINIMAX_OLD_SOUND: Final = _audio_setting(
    ("mp3", "flac"), (8_000, 16_000, 22_050, 24_000, 32_000, 44_100), channels=True
)
_MINIMAX_FIELDS: Final = (
    Text("prompt", neutral="prompt", carries=("style",), min_chars=10, max_chars=2000, required_if=_ALWAYS),
    Text(
        "lyrics",
        neutral="lyrics",
        max_chars=3500,
        excludes=("is_instrumental",),
        # Seen: refused with neither lyrics nor is_instrumental (2026-08-05).
        required_if=tuple(
            {"is_instrumental": tune, "lyrics_optimizer": written}
            for tune in (None, False)
            for written in (None, False)
        ),
    ),
    Flag("lyrics_optimizer", excludes=("is_instrumental",)),
    Flag("is_instrumental", neutral="instrumental"),
    *_audio_setting(("mp3", "wav"), (44_100, 16_000, 24_000, 32_000), channels=False),
)
_ACE_STEP: Final = (
    Number("duration", neutral="duration", minimum=5, maximum=240),
    Number("number_of_steps", minimum=3, maximum=60, whole=True),
    _SEED,
    Choice("scheduler", choices=("euler", "heun")),
    Choice("guidance_type", choices=("cfg", "apg", "cfg_star")),
    Number("granularity_scale", whole=True),
    Number("guidance_interval"),
    Number("guidance_interval_decay"),
    Number("guidance_scale"),
    Number("minimum_guidance_scale"),
    Number("tag_guidance_scale"),
    Number("lyric_guidance_scale"),
)
#: The first of each is sent for the neutral format. Headerless formats (pcm, ulaw, alaw) are left out.
_MP3: Final = (
    *("mp3_44100_128", "mp3_22050_32", "mp3_44100_32", "mp3_44100_64", "mp3_44100_96", "mp3_44100_192"),
)
_OPUS: Final = ("opus_48000_128", "opus_48000_32", "opus_48000_64", "opus_48000_96", "opus_48000_192")
_ELEVENLABS: Final = (
    # ASSUMED: lyrics are sung from the prompt; the page has no other place for them than a plan.
    Text(
        "prompt",
        neutral="prompt",
        carries=("style", "lyrics"),
        max_chars=4100,
        required_if=({"composition_plan": None},),
        excludes=("composition_plan",),
    ),
    Structure("composition_plan"),
    Number(
        "music_length_ms",
        neutral="duration",
        per_neutral=1000,
        minimum=3000,
        maximum=600_000,
        whole=True,
        excludes=("composition_plan",),
    ),
    Flag("force_instrumental", neutral="instrumental", excludes=("composition_plan",)),
    Choice(
        "output_format",
        neutral="format",
        choices=(*_MP3, *_OPUS),
        means={**dict.fromkeys(_MP3, "mp3"), **dict.fromkeys(_OPUS, "ogg")},
    ),
)
#: Source: fal.ai/models/elevenlabs/music/v2.5, read 2026-09-14.
_ELEVENLABS_V2: Final = (*_ELEVENLABS, Number("seed", whole=True, needs=("composition_plan",)))
_STABLE_3: Final = (
    _PROMPT,
    Number("duration", neutral="duration", minimum=1, maximum=380),
    Number("num_inference_steps", minimum=1, maximum=100, whole=True),
    Number("guidance_scale", minimum=0, maximum=25),
    _NEGATIVE,
    _SEED,
    Flag("enable_prompt_expansion"),
    Flag("enable_safety_checker"),
    Choice(
        "output_format",
        neutral="format",
        choices=("wav", "mp3", "ogg", "opus", "aac", "flac", "m4a"),
    ),
    Text("bitrate"),
)
_STABLE_FORMATS: Final = ("wav", "mp3", "ogg", "aac", "flac")

RIGHTS: Final = Rights(
    commercial_use=RightsStatement(
        text="each model has its own licence: see the label on its page",
        source="https://fal.ai/docs/faq",
        as_of="2026",
    ),
    retention=RightsStatement(text="at least 7 days", source="https://fal.ai/docs/faq", as_of="2026"),
)

#: The default model first. Endpoints are case-sensitive for some owners.
MODELS: Final[list[Model]] = [
    # --- songs with words ---
    model(
        "fal-ai/minimax-music/v2.6",
        fields=_MINIMAX_FIELDS,
        price=_per_song("0.15"),
        formats=("mp3", "wav"),
    ),
    # 0.08 and 0.15 USD are both published.
    model("fal-ai/minimax-music/v2.5", fields=_MINIMAX_FIELDS, formats=("mp3", "wav")),
    model(
        "fal-ai/minimax-music/v2",
        fields=(
            Text(
                "prompt",
                neutral="prompt",
                carries=("style",),
                min_chars=10,
                max_chars=300,
                required_if=_ALWAYS,
            ),
            Text("lyrics_prompt", neutral="lyrics", min_chars=10, max_chars=3000, required_if=_ALWAYS),
            *_MINIMAX_OLD_SOUND,
        ),
        formats=("mp3", "flac"),
        price=_per_song("0.03"),
    ),
    # Its names are swapped: prompt is the lyrics, lyrics_prompt the style.
    model(
        "fal-ai/minimax-music/v1.5",
        fields=(
            Text("prompt", neutral="lyrics", min_chars=10, max_chars=600, required_if=_ALWAYS),
            Text(
                "lyrics_prompt",
                neutral="prompt",
                carries=("style",),
                min_chars=10,
                max_chars=3000,
                required_if=_ALWAYS,
            ),
            *_MINIMAX_OLD_SOUND,
        ),
        formats=("mp3", "flac"),
        price=_per_song("0.03"),
    ),
    model(
        "minimax/music-3",
        fields=(
            _PROMPT,
            Text("lyrics", neutral="lyrics", carries=("instrumental",), required_if=_ALWAYS),
            Number("duration", neutral="duration", minimum=1, maximum=300),
            _SEED,
            Number("num_inference_steps", minimum=1, maximum=100, whole=True),
            Number("guidance_scale", minimum=0, maximum=20),
        ),
        price=_per_second("0.002"),
        formats=("wav",),
    ),
    model(
        "fal-ai/ace-step",
        fields=(
            Text("tags", neutral="prompt", carries=("style",), required_if=_ALWAYS),
            Text("lyrics", neutral="lyrics", carries=("instrumental",)),
            *_ACE_STEP,
        ),
        price=_per_second("0.0002"),
        formats=("wav",),
    ),
    # It invents tags and lyrics.
    model(
        "fal-ai/ace-step/prompt-to-audio",
        fields=(_PROMPT, Flag("instrumental", neutral="instrumental"), *_ACE_STEP),
        price=_per_second("0.0002"),
        formats=("wav",),
    ),
    # 0.80 and 0.60 USD a minute are both published.
    model(
        "fal-ai/elevenlabs/music",
        fields=(*_ELEVENLABS, Flag("respect_sections_durations")),
        formats=("mp3", "ogg"),
    ),
    # Per started minute.
    model("elevenlabs/music/v2", _ELEVENLABS_V2, _per_second("0.60", seconds=60), ("mp3", "ogg")),
    model("elevenlabs/music/v2.5", _ELEVENLABS_V2, _per_second("0.60", seconds=60), ("mp3", "ogg")),
    # ASSUMED for the three of Google: lyrics are sung from the prompt, behind the word "Lyrics:".
    model("google/lyria-3.5", fields=(_SONG_PROMPT, Text("image_url")), price=_per_song("0.10")),
    model("fal-ai/lyria3/pro", fields=(_SONG_PROMPT, Text("image_url")), price=_per_song("0.08")),
    model("fal-ai/lyria3", fields=(_SONG_PROMPT, Text("image_url")), price=_per_song("0.04")),
    model(
        "fal-ai/diffrhythm",
        fields=(
            Text("style_prompt", neutral="prompt", carries=("style",)),
            Text("lyrics", neutral="lyrics", required_if=_ALWAYS),
            Text("reference_audio_url"),
            Choice("music_duration", choices=("95s", "285s")),
            Number("num_inference_steps", minimum=1, whole=True),
            Number("cfg_strength"),
            Choice("scheduler", choices=("euler", "midpoint", "rk4", "implicit_adams")),
        ),
        price=_per_second("0.01", seconds=10),
    ),
    # --- instrumentals and sounds ---
    # Seen: 422 "Unsupported language; Please use English" (2026-08-05).
    model(
        "fal-ai/lyria2",
        fields=(
            Text("prompt", neutral="prompt", carries=("style",), max_chars=2000, required_if=_ALWAYS),
            _NEGATIVE,
            _SEED,
        ),
        price=_per_second("0.10", seconds=30),
        formats=("wav",),
    ),
    model(
        "fal-ai/stable-audio-25/text-to-audio",
        fields=(
            _PROMPT,
            Number("seconds_total", neutral="duration", minimum=1, maximum=190, whole=True),
            Number("num_inference_steps", minimum=4, maximum=8, whole=True),
            Number("guidance_scale", minimum=1, maximum=25),
            _SEED,
        ),
        price=_per_song("0.20"),
        formats=("wav",),
    ),
    model(
        "fal-ai/stable-audio-3/medium/text-to-audio",
        fields=_STABLE_3,
        price=_per_song("0.0376"),
        formats=_STABLE_FORMATS,
    ),
    model(
        "fal-ai/stable-audio",
        fields=(
            _PROMPT,
            Number("seconds_start", minimum=0, maximum=47, whole=True),
            Number("seconds_total", neutral="duration", minimum=0, maximum=47, whole=True),
            Number("steps", minimum=1, whole=True),
        ),
        formats=("wav",),
        output="audio_file",
    ),
    model(
        "CassetteAI/music-generator",
        fields=(
            _PROMPT,
            Number("duration", neutral="duration", minimum=10, maximum=180, whole=True, required_if=_ALWAYS),
        ),
        price=_per_second("0.02", seconds=60),
        formats=("wav",),
        output="audio_file",
    ),
    # AAC in m4a; at least 10 s are billed, and each sample.
    model(
        "sonilo/v1.1/text-to-music",
        fields=(
            _PROMPT,
            Number("duration", neutral="duration", minimum=1, maximum=600),
            Number("num_samples", minimum=1, maximum=3, whole=True),
        ),
        price=_per_second("0.0025"),
        formats=("aac",),
        output="audios[]",
    ),
    model(
        "mirelo-ai/sfx1.6/text-to-audio",
        fields=(
            Text("text_prompt", neutral="prompt", carries=("style",), required_if=_ALWAYS),
            Number("duration", neutral="duration", minimum=1),
            Number("num_samples", minimum=1, whole=True),
            Flag("ambience"),
            Flag("double_output"),
            _SEED,
            Choice("upload_audio_format", neutral="format", choices=("wav", "mp3", "aac", "flac")),
        ),
        price=_per_second("0.002"),
        formats=("wav", "mp3", "aac", "flac"),
        output="audio[]",
    ),
]


def find(endpoint: str | None) -> Model | None:
    """Find a model by its endpoint, letter for letter."""
    return next((model for model in MODELS if model.native_model == endpoint), None)
