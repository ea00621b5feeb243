"""The native request of MiniMax's one music call; its texts are made in `texts`."""

from typing import Final
from urllib.parse import quote

from musicgate.plugin import (
    HttpRequest,
    JsonObject,
    MusicRequest,
    Offer,
    ProviderSettings,
    RequestError,
    Translation,
    UnsupportedOptionError,
    hookimpl,
    is_blank,
)
from musicgate_minimax.declaration import DEFAULT_MODEL
from musicgate_minimax.models import ModelRules, rules_of
from musicgate_minimax.parts import (
    BAD_FORMAT,
    BLOCK,
    NO_STREAMING,
    Part,
    changed,
    join,
    not_applied,
    refusal,
)
from musicgate_minimax.texts import cover_texts, song_texts

#: Source: https://platform.minimax.io/docs/api-reference/music-generation, July 2026.
ROUTE: Final = "/v1/music_generation"

#: Encoding of requests that name none. The vendor states no defaults; its own tools send these.
#: Seen: github.com/MiniMax-AI/cli, github.com/MiniMax-AI/MiniMax-MCP, May 2026.
SAMPLE_RATE_HZ: Final = 44_100
BITRATE_BPS: Final = 256_000

_FORMATS: Final = ("mp3", "wav")
#: Seen: the range of the cover command of github.com/MiniMax-AI/cli, May 2026.
MAX_SEED: Final = 1_000_000

#: Every key of the option block that this plugin reads.
KNOWN_KEYS: Final = frozenset(
    {
        *("model", "prompt", "lyrics", "lyrics_optimizer", "is_instrumental", "stream", "output_format"),
        *("audio_url", "audio_base64", "cover_feature_id", "audio_setting", "aigc_watermark", "seed"),
    }
)


@hookimpl
def translate_request(request: MusicRequest, offer: Offer, settings: ProviderSettings) -> Translation:
    """Translate a request to the one create call; the vendor has no callbacks, so no URL is sent.

    Raises:
        RequestError: MiniMax would refuse it, or has no field for an option of the ``minimax`` block.
    """
    block = request.block(BLOCK)
    for key in block:
        if key not in KNOWN_KEYS:
            raise UnsupportedOptionError((BLOCK, key), "not an option that is known here")
    native_model = _native_model(block, offer, settings)
    rules = rules_of(native_model)
    write_texts = cover_texts if rules.is_cover else song_texts
    whole = join(
        (
            Part(fields={"model": native_model}),
            write_texts(request, block, native_model, rules),
            _streaming(block),
            _encoding(request, block),
            _seed(request, block, native_model, rules),
            _extras(request, block),
        )
    )
    return Translation(
        request=HttpRequest.post_json(_url(settings), whole.fields),
        native_model=native_model,
        warnings=whole.warnings,
    )


def _native_model(block: JsonObject, offer: Offer, settings: ProviderSettings) -> str:
    """The block's model, else the offer's, else the one of the settings."""
    own = block.get("model")
    if isinstance(own, str) and not is_blank(own):
        return own.strip()
    return offer.native_model or str(settings.options.get("default_model") or DEFAULT_MODEL)


def _url(settings: ProviderSettings) -> str:
    """URL of the call; old accounts have their group in it, today's clients do not."""
    group_id = str(settings.options.get("group_id") or "")
    query = f"?GroupId={quote(group_id, safe='')}" if group_id else ""
    return f"{settings.base_url}{ROUTE}{query}"


def _streaming(block: JsonObject) -> Part:
    if block.get("stream"):
        message = "minimax.stream: the gateway does not stream this vendor"
        raise RequestError("not_supported", message, reason=NO_STREAMING, path=(BLOCK, "stream"))
    return Part(fields={"stream": False} if "stream" in block else {})


def _encoding(request: MusicRequest, block: JsonObject) -> Part:
    """Encoding of the audio, and its delivery as hex or as a link."""
    given = block.get("audio_setting")
    setting = dict(given) if isinstance(given, dict) else {}
    wanted = setting.get("format") or request.format or "mp3"
    if "format" not in setting and wanted not in _FORMATS:
        raise refusal(("format",), f"MiniMax makes mp3 and wav, not {wanted}", BAD_FORMAT)
    defaults = {"sample_rate": SAMPLE_RATE_HZ, "bitrate": BITRATE_BPS, "format": wanted}
    # Hex needs no second call. Seen: links that came back empty under a token plan (client reports, 2026).
    delivery = block.get("output_format") or "hex"
    fields = {"audio_setting": {**defaults, **setting}, "output_format": delivery}
    if wanted != "pcm":
        return Part(fields=fields)
    path = (BLOCK, "audio_setting", "format")
    if delivery == "url":
        message = "a link to bare pcm is no audio that plays; leave output_format out, or ask for wav"
        raise UnsupportedOptionError((BLOCK, "output_format"), message)
    return changed(path, "bare pcm is asked for, and delivered inside a wav file so that it plays", fields)


def _seed(request: MusicRequest, block: JsonObject, native_model: str, rules: ModelRules) -> Part:
    """The seed; only the cover models are known to take one."""
    own = block.get("seed")
    seed = request.seed if own is None else own
    if seed is None:
        return Part()
    path = ("seed",) if own is None else (BLOCK, "seed")
    if not rules.is_cover:
        if own is not None:
            raise UnsupportedOptionError(path, f"{native_model} takes no seed; the cover models do")
        return not_applied(path, f"{native_model} takes no seed")
    if isinstance(seed, int) and seed > MAX_SEED:
        raise refusal(path, f"MiniMax takes a seed up to {MAX_SEED}")
    return Part(fields={"seed": seed})


def _extras(request: MusicRequest, block: JsonObject) -> Part:
    watermark = {"aigc_watermark": block["aigc_watermark"]} if "aigc_watermark" in block else {}
    sent = Part(fields=watermark)
    if request.duration_s is None:
        return sent
    return join(
        (sent, not_applied(("duration",), "the length follows from lyrics and prompt, up to 5 minutes"))
    )
