"""The tracks of a job: merging an answer into what is known, and noting which audio was kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import attrs

from musicgate.model import Asset, NativeTrack, Track

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


class MergedTracks(NamedTuple):
    """The tracks after an answer, and the index of each of the answer's tracks among them."""

    tracks: tuple[Track, ...]
    indexes: tuple[int, ...]


@attrs.frozen(kw_only=True)
class KeptAudio:
    """What came of the audio of some tracks, by index.

    Attributes:
        assets: as it was delivered.
        finished: converted to the format that was asked for, and marked.
        images: the covers.
        broken: why it does not play.
        rejected: the bytes that do not play, where they were kept.
    """

    assets: Mapping[int, Asset] = attrs.field(factory=dict)
    finished: Mapping[int, Asset] = attrs.field(factory=dict)
    images: Mapping[int, Asset] = attrs.field(factory=dict)
    broken: Mapping[int, str] = attrs.field(factory=dict)
    rejected: Mapping[int, Asset] = attrs.field(factory=dict)


NO_AUDIO = KeptAudio()
#: What a `Track` has from a `NativeTrack`.
_NATIVE_FIELDS = tuple(field.name for field in attrs.fields(NativeTrack) if field.name != "audio")


def merge_tracks(known: Sequence[Track], seen: Iterable[NativeTrack]) -> MergedTracks:
    """Merge the tracks of an answer into the known ones: by native id, else by position.

    A link once given is not taken back by an empty one.
    """
    tracks, indexes = list(known), list[int]()
    for position, native in enumerate(seen):
        index = _position_of(tracks, native, position)
        if index is None:
            index = len(tracks)
            tracks.append(Track(index=index))
        tracks[index] = _with_native(tracks[index], native)
        indexes.append(index)
    return MergedTracks(tuple(tracks), tuple(indexes))


def with_audio(tracks: Sequence[Track], audio: KeptAudio) -> tuple[Track, ...]:
    """Note what came of the audio of some tracks; one whose audio is kept is no longer broken."""
    return tuple(_with_audio(track, audio) for track in tracks)


def mark_silent(tracks: Sequence[Track], message: str) -> tuple[Track, ...]:
    """Give every track without audio a failure message, unless it has one of its own."""
    return tuple(
        track if track.has_audio or track.failure_message else attrs.evolve(track, failure_message=message)
        for track in tracks
    )


def _with_audio(track: Track, audio: KeptAudio) -> Track:
    index = track.index
    asset, image = audio.assets.get(index), audio.images.get(index)
    if asset is not None:
        track = attrs.evolve(track, asset=asset, original=None, failure_message=None)
    elif index in audio.broken:
        track = attrs.evolve(track, failure_message=audio.broken[index])
    if index in audio.rejected:
        track = attrs.evolve(track, rejected=audio.rejected[index])
    if index in audio.finished:
        track = attrs.evolve(track, asset=audio.finished[index], original=track.original or track.asset)
    return track if image is None else attrs.evolve(track, image=image)


def _position_of(tracks: Sequence[Track], native: NativeTrack, position: int) -> int | None:
    if native.native_id is not None:
        for index, track in enumerate(tracks):
            if track.native_id == native.native_id:
                return index
    if position < len(tracks) and (native.native_id is None or tracks[position].native_id is None):
        return position
    return None


def _with_native(track: Track, native: NativeTrack) -> Track:
    news = {
        name: value
        for name in _NATIVE_FIELDS
        if (value := getattr(native, name)) not in (None, (), {}) and value != getattr(track, name)
    }
    return attrs.evolve(track, **news) if news else track
