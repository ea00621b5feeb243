"""Tracks in the answers of both dialects: where they are, how their fields are spelled; no status.

Shapes: ``data.response.sunoData`` (documented, camelCase), ``data.resultJson`` of the market (JSON text or an
object, snake_case, seen 2026-10-06 with V6_MINI), and the places where neighbouring services put the same
list.
"""

from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import quote

from musicgate.plugin import At, NativeTrack
from musicgate.plugin.lenient import first, first_url, items, json_text, mapping, moment, seconds, text, url

#: A track's ``prompt`` when there are no lyrics.
#: Seen: every instrumental, although the page says that it is empty.
NO_LYRICS: Final = "[Instrumental]"

#: Seen: one client derives a track's address at Suno itself from its id. Undocumented, so off by default.
_CDN_URL: Final = "https://cdn1.suno.ai/{id}.mp3"
_LENGTH: Final = At("duration", "durationSeconds", "metadata.duration")


def read_tracks(data: Mapping[str, object], *, derive_cdn_urls: bool = False) -> tuple[NativeTrack, ...]:
    """Read the tracks from the first place that has any, each id once, in the vendor's order.

    Seen: the callbacks "first" and "complete" both deliver track one; a task read through one of them may
    list it twice.
    """
    for place in _places(data):
        read = [read_track(item, derive_cdn_urls=derive_cdn_urls) for item in items(place)]
        tracks = [track for track in read if track is not None]
        if tracks:
            return tuple({track.native_id or index: track for index, track in enumerate(tracks)}.values())
    links = mapping(json_text(data.get("resultJson"))).get("resultUrls")
    found = [url(link) for link in links] if isinstance(links, list) else []
    return tuple(NativeTrack(audio_url=link) for link in found if link)


def read_track(item: Mapping[str, object], *, derive_cdn_urls: bool = False) -> NativeTrack | None:
    """Read one track in either spelling; None for an object without an id or a link.

    The links are in order of trust: audioUrl, then sourceAudioUrl (seen, not on the page). A stream link is
    not final audio.
    """
    native_id = text(first(item, "id", "audioId", "audio_id"))
    links = [
        first_url(item, "audioUrl", "audio_url"),
        first_url(item, "sourceAudioUrl", "source_audio_url"),
    ]
    stream = first_url(
        item, "streamAudioUrl", "stream_audio_url", "sourceStreamAudioUrl", "source_stream_audio_url"
    )
    image = first_url(item, "imageUrl", "image_url", "sourceImageUrl", "source_image_url")
    if derive_cdn_urls and native_id and any(links):
        links.append(_CDN_URL.format(id=quote(native_id, safe="")))
    audio = list(dict.fromkeys(link for link in links if link))
    if native_id is None and not audio and stream is None and image is None:
        return None
    lyrics = first(item, "prompt", "lyrics")
    return NativeTrack(
        native_id=native_id,
        audio_url=audio[0] if audio else None,
        fallback_urls=tuple(audio[1:]),
        stream_audio_url=stream,
        image_url=image,
        title=text(item.get("title")),
        tags=text(item.get("tags")),
        duration_s=_LENGTH.read(item, seconds),
        lyrics=lyrics if isinstance(lyrics, str) and lyrics.strip() != NO_LYRICS else None,
        native_model=text(first(item, "modelName", "model_name")),
        created_at=moment(first(item, "createTime", "create_time")),
    )


def _places(data: Mapping[str, object]) -> Iterator[object]:
    result = json_text(data.get("resultJson"))
    for source in (json_text(data.get("response")), result, data):
        if isinstance(source, list):
            yield source
            continue
        container = mapping(source)
        yield container.get("sunoData") or container.get("suno_data")
        yield container.get("data")
