"""The native request of MiniMax's one music call; what its fields take is in `declaration`."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

import musicgate.plugin as mg
from musicgate.plugin import Ability, Draft, lenient, refused, unsupported
from musicgate_minimax.declaration import BAD_COVER, BAD_FORMAT, BLOCK, INSTRUMENTAL_TAGS

#: Source: https://platform.minimax.io/docs/api-reference/music-generation, July 2026.
ROUTE: Final = "/v1/music_generation"

#: Encoding of requests that name none. The vendor states no defaults; its own tools send these.
#: Seen: github.com/MiniMax-AI/cli, github.com/MiniMax-AI/MiniMax-MCP, May 2026.
SAMPLE_RATE_HZ: Final = 44_100
BITRATE_BPS: Final = 256_000

#: The contract's error tokens.
_LYRICS_REQUIRED: Final = "lyrics_required_for_non_instrumental_minimax_music"
_NO_STREAMING: Final = "minimax_music_streaming_not_supported_by_gateway"

_REFERENCES: Final = ("audio_url", "audio_base64", "cover_feature_id")
_FLAGS: Final = ("is_instrumental", "lyrics_optimizer")
#: How neutral fields are written into the prompt.
_LABELS: Final[Mapping[str, str | Mapping[str, str]]] = {
    "vocal_gender": {"m": "Vocals: male", "f": "Vocals: female"},
    "negative_style": "Avoid: {}",
}


@mg.hookimpl
def translate_request(
    request: mg.MusicRequest, offer: mg.Offer, settings: mg.ProviderSettings
) -> mg.Translation:
    """Translate a request to the one create call; the vendor has no callbacks, so no URL is sent.

    Raises:
        RequestError: MiniMax would refuse it, or has no field for an option of the ``minimax`` block.
    """
    draft = Draft(request, offer, settings, BLOCK)
    is_cover = offer.declares("cover_feature_id")
    # A model that makes instrumentals without this flag has another way to what it asks for.
    by_tags = Ability.INSTRUMENTAL in offer.abilities and draft.block.get("is_instrumental")
    draft.refuse_undeclared(*(["is_instrumental"] if by_tags else []))
    draft.send("model", draft.native_model)
    if is_cover:
        _cover(draft)
    else:
        _song(draft)
    _write_prompt(draft)
    if draft.block.get("stream"):
        message = "minimax.stream: the gateway does not stream this vendor"
        raise mg.RequestError("not_supported", message, reason=_NO_STREAMING, path=(BLOCK, "stream"))
    draft.copy("stream")
    _encode(draft)
    draft.copy("aigc_watermark")
    # Old accounts have their group in the URL, today's clients do not.
    group_id = str(settings.options.get("group_id") or "")
    query = f"?GroupId={quote(group_id, safe='')}" if group_id else ""
    return draft.post_json(f"{settings.base_url}{ROUTE}{query}")


def _encode(draft: Draft) -> None:
    """Encoding of the audio, and its delivery as hex or as a link."""
    setting = lenient.mapping(draft.block.get("audio_setting"))
    wanted = setting.get("format") or draft.request.format or "mp3"
    if "format" not in setting and wanted not in draft.offer.formats:
        raise refused("format", f"MiniMax makes mp3 and wav, not {wanted}", BAD_FORMAT)
    defaults = {"sample_rate": SAMPLE_RATE_HZ, "bitrate": BITRATE_BPS, "format": wanted}
    draft.send("audio_setting", {**defaults, **setting})
    # Hex needs no second call. Seen: links that came back empty under a token plan (client reports, 2026).
    delivery = draft.block.get("output_format") or "hex"
    draft.send("output_format", delivery)
    if wanted == "pcm" and delivery == "url":
        message = "a link to bare pcm is no audio that plays; leave output_format out, or ask for wav"
        raise unsupported("minimax.output_format", message)
    if wanted == "pcm":
        message = "bare pcm is asked for, and delivered inside a wav file so that it plays"
        draft.changed("minimax.audio_setting.format", message)


def _write_prompt(draft: Draft) -> None:
    """Append style, voice and what to avoid to the prompt, as the vendor's own tool does it.

    Seen: "<prompt>. Vocals: ... . Avoid: ..." (github.com/MiniMax-AI/cli, May 2026).
    """
    prompt = draft.said("prompt", "prompt")
    whole = prompt.text if prompt else ""
    is_sung = not draft.fields.get("is_instrumental") and draft.fields.get("lyrics") != INSTRUMENTAL_TAGS
    # A style alone needs no label.
    labels = {"style": "Style: {}" if prompt else "{}", **_LABELS}
    for piece in draft.labelled(labels, is_sung=is_sung).values():
        whole = whole.rstrip()
        stop = " " if whole.endswith((".", "!", "?")) else ". "
        whole = f"{whole}{stop}{piece}" if whole else piece
    draft.send("prompt", whole or None, prompt.path if prompt else None)


def _cover(draft: Draft) -> None:
    """Reference recording and lyrics of a cover, which sings what its reference sings."""
    given = [name for name in _REFERENCES if draft.said(name)]
    if len(given) != 1:
        wanted = f"needs exactly one of {', '.join(_REFERENCES)}; {len(given)} are given"
        raise refused(BLOCK, f"{draft.native_model} {wanted}", BAD_COVER)
    draft.copy(*given)
    lyrics = draft.said("lyrics", "lyrics")
    if lyrics is None and given == ["cover_feature_id"]:
        raise refused("minimax.lyrics", "a cover of a cover_feature_id needs lyrics", BAD_COVER)
    draft.send("lyrics", lyrics)
    draft.send("seed", draft.said("seed", "seed"))


def _song(draft: Draft) -> None:
    """Lyrics, or the flag or tags that replace them.

    The block beats a neutral field. Options of the same rank that exclude each other are refused, as the
    vendor's own command line tool does it (seen: github.com/MiniMax-AI/cli, May 2026).
    ASSUMED: the server may be more lenient; what it would do then is not documented.
    """
    lyrics, wanted = draft.said("lyrics", "lyrics"), draft.request.instrumental
    tune, written = (draft.block.get(name) for name in _FLAGS)
    _refuse_contradictions(tune=bool(tune), written=bool(written), is_own=bool(lyrics and lyrics.in_block))
    for name in _FLAGS:
        draft.send(name, draft.block.get(name) if draft.offer.declares(name) else None)
    if tune or written:
        if lyrics:
            draft.not_applied(lyrics.path, "overruled by the minimax block")
        if written and wanted:
            draft.not_applied("instrumental", "overruled by minimax.lyrics_optimizer")
        if tune:
            _send_instrumental(draft)
    elif lyrics:
        _send_lyrics(draft, lyrics)
    else:
        _send_no_lyrics(draft)


def _refuse_contradictions(*, tune: bool, written: bool, is_own: bool) -> None:
    if tune and is_own:
        raise refused("minimax.is_instrumental", "lyrics are given, and an instrumental is asked for", None)
    if written and (is_own or tune):
        other = "lyrics are given" if is_own else "an instrumental is asked for"
        raise refused("minimax.lyrics_optimizer", f"{other}, and the vendor is asked to write lyrics", None)


def _send_lyrics(draft: Draft, lyrics: mg.Said) -> None:
    if draft.request.instrumental and draft.block.get("is_instrumental") is None:
        if not lyrics.in_block:
            raise refused("instrumental", "lyrics are given, and an instrumental is asked for", None)
        draft.not_applied("instrumental", "overruled by minimax.lyrics")
    draft.send("lyrics", lyrics)


def _send_no_lyrics(draft: Draft) -> None:
    """An instrumental, or a voice for which the vendor can write the lyrics."""
    if draft.block.get("is_instrumental") is False:
        raise refused("minimax.lyrics", "is_instrumental is false, and there are no lyrics", _LYRICS_REQUIRED)
    if draft.request.instrumental is not False:
        _send_instrumental(draft)
        return
    if not draft.offer.declares("lyrics_optimizer") or draft.block.get("lyrics_optimizer") is False:
        raise refused("lyrics", "a voice is wanted, and there are no lyrics", _LYRICS_REQUIRED)
    draft.changed("instrumental", "there are no lyrics, so MiniMax writes them from the prompt")
    draft.send("lyrics_optimizer", value=True)


def _send_instrumental(draft: Draft) -> None:
    """The flag, or in its place lyrics that are tags only."""
    if draft.offer.declares("is_instrumental"):
        draft.send("is_instrumental", value=True)
        return
    if Ability.INSTRUMENTAL not in draft.offer.abilities:
        message = f"{draft.native_model} cannot make an instrumental and needs lyrics"
        raise refused("lyrics", message, _LYRICS_REQUIRED)
    draft.send("lyrics", INSTRUMENTAL_TAGS)
    is_own = bool(draft.block.get("is_instrumental"))
    if is_own or draft.request.instrumental:
        path = "minimax.is_instrumental" if is_own else "instrumental"
        draft.changed(path, f"{draft.native_model} has no switch for it: lyrics that are tags only are sent")
