"""Tracks in the answers of both dialects: where they are, how their fields are spelled; no status.

Shapes: ``data.response.sunoData`` (documented, camelCase), ``data.resultJson`` of the market (JSON text or an
object, snake_case, seen 2026-10-06 with V6_MINI), and the places where neighbouring services put the same
list.
"""

from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import quote

import attrs

from musicgate.plugin import At, NativeTrack, TrackTable
from musicgate.plugin.lenient import json_text, mapping, url

#: A track's ``prompt`` when there are no lyrics.
#: Seen: every instrumental, although the page says that it is empty.
NO_LYRICS: Final = "[Instrumental]"

#: Seen: one client derives a track's address at Suno itself from its id. Undocumented, so off by default.
_CDN_URL: Final = "https://cdn1.suno.ai/{id}.mp3"
#: In either spelling. A stream link is not final audio.
_TRACK: Final = TrackTable(
    native_id=At("id", "audioId", "audio_id"),
    # In order of trust. Seen: sourceAudioUrl, which is not on the page.
    audio_url=At("audioUrl", "audio_url", "sourceAudioUrl", "source_audio_url"),
    stream_audio_url=At(
        *("streamAudioUrl", "stream_audio_url", "sourceStreamAudioUrl", "source_stream_audio_url"),
    ),
    image_url=At("imageUrl", "image_url", "sourceImageUrl", "source_image_url"),
    title=At("title"),
    tags=At("tags"),
    duration_s=At("duration", "durationSeconds", "metadata.duration"),
    lyrics=At("prompt", "lyrics"),
    native_model=At("modelName", "model_name"),
    created_at=At("createTime", "create_time"),
)


def read_tracks(data: Mapping[str, object], *, derive_cdn_urls: bool = False) -> tuple[NativeTrack, ...]:
    """Read the tracks from the first place that has any, each id once, in the vendor's order.

    Seen: the callbacks "first" and "complete" both deliver track one; a task read through one of them may
    list it twice.
    """
    for place in _places(data):
        tracks = _TRACK.read_all(place)
        if tracks:
            return tuple(_completed(track, derive_cdn_urls=derive_cdn_urls) for track in tracks)
    links = mapping(json_text(data.get("resultJson"))).get("resultUrls")
    found = [url(link) for link in links] if isinstance(links, list) else []
    return tuple(NativeTrack(audio_url=link) for link in found if link)


def _completed(track: NativeTrack, *, derive_cdn_urls: bool) -> NativeTrack:
    if derive_cdn_urls and track.native_id and track.audio_url:
        derived = _CDN_URL.format(id=quote(track.native_id, safe=""))
        links = dict.fromkeys((track.audio_url, *track.fallback_urls, derived))
        track = attrs.evolve(track, fallback_urls=tuple(links)[1:])
    return attrs.evolve(track, lyrics=None) if (track.lyrics or "").strip() == NO_LYRICS else track


def _places(data: Mapping[str, object]) -> Iterator[object]:
    result = json_text(data.get("resultJson"))
    for source in (json_text(data.get("response")), result, data):
        if isinstance(source, list):
            yield source
            continue
        container = mapping(source)
        yield container.get("sunoData") or container.get("suno_data")
        yield container.get("data")
