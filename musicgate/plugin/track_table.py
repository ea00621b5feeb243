"""Where a vendor's JSON has the facts of a track, as data; it judges nothing."""

from __future__ import annotations

from typing import Final

import attrs

from musicgate.model import NativeTrack
from musicgate.plugin import lenient
from musicgate.plugin.error_table import At

_NOWHERE: Final = At()


@attrs.frozen(kw_only=True)
class TrackTable:
    """Where each fact of a track is in the object that a vendor sends for it.

    Of several places the first counts whose value can be read: a link that is absolute, a length above 0.
    A fact that the vendor does not send is left out here.

    Attributes:
        audio_url: links to final audio, in order of trust: the first is the link, all others are
            ``fallback_urls``.
        stream_audio_url: a link that may give a part of the audio, or a stream without end.
        duration_s: seconds, as a number or as text with a unit.
        lyrics: text as it is, with its blanks.
        created_at: epoch seconds or milliseconds, or ISO text; so is ``expires_at``.
        failure_message: why this track alone failed.
    """

    native_id: At = _NOWHERE
    audio_url: At = _NOWHERE
    stream_audio_url: At = _NOWHERE
    image_url: At = _NOWHERE
    title: At = _NOWHERE
    tags: At = _NOWHERE
    duration_s: At = _NOWHERE
    lyrics: At = _NOWHERE
    native_model: At = _NOWHERE
    created_at: At = _NOWHERE
    expires_at: At = _NOWHERE
    failure_message: At = _NOWHERE

    def read(self, item: object) -> NativeTrack | None:
        """The track that an object describes; None for one without an id, a link or a failure."""
        track = self.facts_of(item)
        links = track.audio_url, track.stream_audio_url, track.image_url
        return track if any((track.native_id, *links, track.failure_message)) else None

    def facts_of(self, item: object) -> NativeTrack:
        """The facts that an object has, whatever is missing."""
        found = (link for value in self.audio_url.values(item) if (link := lenient.url(value)))
        audio, text = list(dict.fromkeys(found)), lenient.text
        return NativeTrack(
            native_id=self.native_id.read(item, text),
            audio_url=audio[0] if audio else None,
            fallback_urls=tuple(audio[1:]),
            stream_audio_url=self.stream_audio_url.read(item, lenient.url),
            image_url=self.image_url.read(item, lenient.url),
            title=self.title.read(item, text),
            tags=self.tags.read(item, text),
            duration_s=self.duration_s.read(item, lenient.seconds),
            lyrics=self.lyrics.read(item, lambda value: value if isinstance(value, str) else None),
            native_model=self.native_model.read(item, text),
            created_at=self.created_at.read(item, lenient.moment),
            expires_at=self.expires_at.read(item, lenient.moment),
            failure_message=self.failure_message.text(item),
        )

    def read_all(self, value: object) -> tuple[NativeTrack, ...]:
        """The tracks in a list, or in a single object, in their order; each id once, as it is said last."""
        tracks = filter(None, map(self.read, lenient.items(value)))
        return tuple({track.native_id or index: track for index, track in enumerate(tracks)}.values())
