"""One piece of audio: as a vendor reports it, as we keep it, and the stored file; values only."""

from __future__ import annotations

from datetime import datetime

import attrs

from musicgate.model.json_types import JsonObject


@attrs.frozen(kw_only=True)
class Manifest:
    """What the C2PA manifest of a kept file says; only ``validity`` was checked.

    Attributes:
        validity: ``trusted``, ``valid``, ``invalid`` or ``not_checked``.
        reason: why it is not trusted, not valid or not checked.
        signer: common name of the signer's certificate.
        issuer: organisation of the signer's certificate.
        claim_generator: the program that made it.
        states_ai: whether it states that AI generated the song; None = not read.
    """

    validity: str
    reason: str | None = None
    signer: str | None = None
    issuer: str | None = None
    claim_generator: str | None = None
    states_ai: bool | None = None


@attrs.frozen(kw_only=True)
class Asset:
    """A file that we keep, and what was measured by decoding it.

    What is None was not measured: assets of earlier versions have a duration only.

    Attributes:
        name: key in the object store, made of the SHA-256: ``d1/d1f3....mp3``. Of earlier versions:
            ``<job id>/0.mp3``.
        kind: container, e.g. ``mp3``.
        content_type: media type it is served with.
        duration_s: seconds of its decoded samples; 0 for a picture.
        sha256: of its bytes, in hexadecimal.
        codec: as FFmpeg names it, e.g. ``pcm_s16le``.
        bit_rate_bps: size by duration.
        loudness_lufs: integrated loudness (EBU R 128); None also for silence and a fraction of a second.
        true_peak_dbtp: greatest level between samples (ITU-R BS.1770), in dB below full scale.
        manifest: its signed statement of origin (C2PA), if it has one.
    """

    name: str
    kind: str
    content_type: str
    size_bytes: int
    duration_s: float
    sha256: str | None = None
    codec: str | None = None
    sample_rate_hz: int | None = None
    channels: int | None = None
    bit_rate_bps: int | None = None
    loudness_lufs: float | None = None
    true_peak_dbtp: float | None = None
    is_silent: bool | None = None
    manifest: Manifest | None = None


@attrs.frozen(kw_only=True)
class NativeTrack:
    """A track as the vendor reports it, read but not judged.

    Attributes:
        native_id: the vendor's track id, or None.
        audio_url: link to final audio; never a partial stream.
        fallback_urls: other links to the same final audio, in order of trust.
        audio: the audio itself where the vendor sends bytes.
        duration_s: positive finite seconds or None.
        tags: genre tags as the vendor gives them.
        failure_message: why this track alone failed, or None.
        extra: further facts worth showing (timed lyrics, a plan), JSON values by key.
    """

    native_id: str | None = None
    audio_url: str | None = None
    fallback_urls: tuple[str, ...] = ()
    stream_audio_url: str | None = None
    image_url: str | None = None
    audio: bytes | None = attrs.field(
        default=None, repr=lambda audio: "None" if audio is None else f"<{len(audio)} bytes>"
    )
    title: str | None = None
    tags: str | None = None
    duration_s: float | None = None
    lyrics: str | None = None
    native_model: str | None = None
    created_at: datetime | None = None
    expires_at: datetime | None = None
    failure_message: str | None = None
    extra: JsonObject = attrs.field(factory=dict)

    @property
    def has_audio(self) -> bool:
        """True if final audio can be had, by link or as bytes."""
        return bool(self.audio) or bool(self.audio_url)


@attrs.frozen(kw_only=True)
class Track:
    """A track of a job; fields as in `NativeTrack`.

    Attributes:
        index: never changes.
        asset: the audio that we keep and serve, in the format that was asked for.
        original: the audio as the vendor delivered it, where ``asset`` was converted from it.
        image: the cover that we keep.
        rejected: what the vendor delivered, where it is no audio that plays; never served.
    """

    index: int
    native_id: str | None = None
    audio_url: str | None = None
    fallback_urls: tuple[str, ...] = ()
    stream_audio_url: str | None = None
    image_url: str | None = None
    title: str | None = None
    tags: str | None = None
    duration_s: float | None = None
    lyrics: str | None = None
    native_model: str | None = None
    created_at: datetime | None = None
    expires_at: datetime | None = None
    failure_message: str | None = None
    extra: JsonObject = attrs.field(factory=dict)
    asset: Asset | None = None
    original: Asset | None = None
    image: Asset | None = None
    rejected: Asset | None = None

    @property
    def assets(self) -> tuple[Asset, ...]:
        """Everything of it that we keep."""
        kept = (self.asset, self.original, self.image, self.rejected)
        return tuple(asset for asset in kept if asset is not None)

    @property
    def has_audio(self) -> bool:
        """True if final audio is kept or linked to, and is not known to be broken."""
        return self.failure_message is None and (self.asset is not None or bool(self.audio_url))

    @property
    def is_visible(self) -> bool:
        """True if there is anything to open or read: a track whose links are all null is not shown."""
        links = (self.audio_url, self.stream_audio_url, self.image_url, self.asset, self.failure_message)
        return any(links)
