"""Delivered audio is converted to the format of the request, and marked where the operator wants it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from musicgate import hookimpl
from musicgate.assets import AudioKind, measure_bytes
from musicgate.assets.marks import Tags, sign
from musicgate.emulation.tones import AudioFormat, Container, song
from musicgate.errors import ConfigError, StorageError
from musicgate.gateway.audio_files import Marks
from musicgate.gateway.audio_keeper import AudioKeeper
from musicgate.gateway.compose import marks_of
from musicgate.gateway.follow import advance
from musicgate.model import Ability, Job, JobState, OptionWarning, Track, WarningCode
from musicgate.settings import AssetSettings, Settings
from musicgate.testing.memory_store import MemoryJobStore
from tests.fake_certificates import fake_signer
from tests.fake_vendor import MODEL, FakeVendor, Rig, rig_of
from tests.test_gateway_follow import accepted, as_bytes, step

LINK = "https://cdn.test/1"
MP3 = song(AudioFormat(container=Container.MP3), 2.0)
WAV = song(AudioFormat(container=Container.WAV), 2.0)
DONE = {"status": "done", "tracks": [{"id": "t1", "url": LINK}]}


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig_of(tmp_path / "audio", FakeVendor("one"), store=MemoryJobStore()) as rig:
        yield rig


async def finished(rig: Rig, content: bytes, **fields: Any) -> Job:
    rig.transport.media = {LINK: content}
    job, _ = await step(rig, await accepted(rig, **fields), DONE)
    return job


def content_of(rig: Rig, track: Track) -> bytes:
    assert track.asset is not None
    path = rig.context.keeper.local_path(track.asset)
    assert path is not None
    return path.read_bytes()


def about_format(job: Job) -> list[tuple[WarningCode, str]]:
    return [(one.code, one.message) for one in job.warnings if one.path == ("format",)]


@pytest.mark.parametrize(
    ("wanted", "kind", "codec"),
    [
        ("wav", "wav", "pcm_s16le"),
        ("ogg", "opus", "opus"),
        ("aac", "m4a", "aac"),
        ("flac", "flac", "flac"),
    ],
)
async def test_audio_in_another_format_is_converted_and_the_original_is_kept(
    rig: Rig, wanted: str, kind: str, codec: str
) -> None:
    job = await finished(rig, MP3, format=wanted)
    assert job.state is JobState.COMPLETED
    (track,) = job.tracks
    assert track.asset is not None
    assert track.original is not None
    made = measure_bytes(content_of(rig, track))
    assert (track.asset.kind, track.asset.codec, made.kind.value, made.codec) == (kind, codec, kind, codec)
    assert made.duration_s == pytest.approx(2.0, abs=0.1)
    original = rig.context.keeper.local_path(track.original)
    assert original is not None
    assert original.read_bytes() == MP3
    ((code, message),) = about_format(job)
    assert code is WarningCode.CHANGED
    assert message.startswith("track 0 was delivered as mp3")
    assert "the original is kept" in message
    assert job.usage is not None
    assert job.usage.output_audio_seconds == pytest.approx(2.0, abs=0.1)


async def test_audio_in_the_wanted_format_is_not_touched(rig: Rig) -> None:
    job = await finished(rig, WAV, format="wav")
    assert content_of(rig, job.tracks[0]) == WAV
    assert (job.tracks[0].original, about_format(job)) == (None, [])


async def test_a_vendor_that_makes_the_format_is_asked_for_it_and_another_one_is_not(tmp_path: Path) -> None:
    seen: list[str | None] = []

    class Watching(FakeVendor):
        @hookimpl
        def translate_request(self, request: Any, offer: Any, settings: Any, callback_url: Any) -> Any:
            seen.append(request.format)
            return super().translate_request(request, offer, settings, callback_url)

    vendor = Watching("one")
    offer = attrs.evolve(
        vendor.declared.offers[0], formats=("mp3", "wav"), abilities=frozenset({Ability.FORMAT})
    )
    vendor.declared = attrs.evolve(vendor.declared, offers=(offer,))
    async with rig_of(tmp_path / "audio", vendor, store=MemoryJobStore()) as rig:
        for wanted in ("wav", "ogg"):
            await accepted(rig, format=wanted)
        request = rig.gate.read({"model": MODEL, "prompt": "jazz", "format": "ogg"})
        assert rig.gate.plan(request, strict=True).candidates
    assert seen == ["wav", None, None]
    archive = AssetSettings(archive=False)
    async with rig_of(tmp_path / "links", vendor, store=MemoryJobStore(), assets=archive) as rig:
        await accepted(rig, format="ogg")
    assert seen[-1] == "ogg", "where nothing is kept, nothing is converted: the plugin says what it cannot do"


async def test_the_vendors_own_option_for_the_format_is_not_converted_away(rig: Rig) -> None:
    job = await accepted(rig, format="ogg")
    told = OptionWarning(code=WarningCode.NOT_APPLIED, path=("format",), message="one.output_format wins")
    stored = await rig.store.replace(
        await rig.stored(job), attrs.evolve(await rig.stored(job), warnings=(told,)), []
    )
    rig.transport.media = {LINK: MP3}
    job, _ = await step(rig, stored, DONE)
    assert content_of(rig, job.tracks[0]) == MP3
    assert job.warnings == (told,)


async def test_the_original_is_known_to_the_job_before_it_is_converted(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish, seen = rig.context.keeper.finish, list[Track]()

    async def watched(asset: Any, wanted: Any, tags: Any, job_id: str, index: int) -> Any:
        stored = await rig.store.get(job_id)
        assert stored is not None
        seen.extend(stored.tracks)
        return await finish(asset, wanted, tags, job_id, index)

    monkeypatch.setattr(rig.context.keeper, "finish", watched)
    job = await finished(rig, MP3, format="wav")
    assert [track.asset for track in seen] == [job.tracks[0].original]


async def test_a_full_disk_delays_the_conversion_and_loses_nothing(rig: Rig) -> None:
    put, puts = rig.assets.put, list[str]()

    async def full_once(name: str, source: Path, content_type: str) -> None:
        puts.append(content_type)
        if len(puts) == 2:
            raise StorageError("disk full")
        await put(name, source, content_type)

    rig.assets.put = full_once  # type: ignore[method-assign]
    rig.transport.media = {LINK: MP3}
    job, pause_s = await step(rig, await accepted(rig, format="wav"), DONE)
    assert (job.state, pause_s) == (JobState.IN_PROGRESS, 2.0)
    assert job.tracks[0].asset is not None
    assert job.storage_trouble == "disk full"
    job, _ = await step(rig, job)
    assert (job.state, job.storage_trouble) == (JobState.COMPLETED, None)
    assert puts == ["audio/mpeg", "audio/wav", "audio/wav"]
    assert len(rig.transport.fetched) == 1


async def test_audio_that_came_as_bytes_is_converted_after_the_create_call(tmp_path: Path) -> None:
    vendor = FakeVendor("one", blocking=True)
    async with rig_of(tmp_path / "audio", vendor, store=MemoryJobStore()) as rig:
        rig.transport.script("one", {"status": "done", "tracks": [as_bytes(MP3)]})
        job = await rig.submit(format="wav")
        assert job.state is JobState.IN_PROGRESS, "no caller waits for a conversion in a create call"
        job, _ = await step(rig, job)
        assert job.state is JobState.COMPLETED
        assert job.tracks[0].asset is not None
        assert job.tracks[0].asset.kind == "wav"


async def test_audio_that_no_store_took_until_the_deadline_is_on_the_local_disk(tmp_path: Path) -> None:
    vendor = FakeVendor("one", blocking=True)
    async with rig_of(tmp_path / "audio", vendor, store=MemoryJobStore()) as rig:
        rig.assets.troubles = [StorageError("the bucket is full")] * 1000
        rig.transport.script("one", {"status": "done", "tracks": [as_bytes(MP3)]})
        job = await rig.submit()
        name = f"{job.id}-0"
        assert (tmp_path / "audio" / ".rescued" / name).read_bytes() == MP3
        await advance(rig.context, job.id)
        job = await rig.stored(job)
        assert job.state is JobState.FAILED
        assert job.failure is not None
        assert job.failure.costs
        assert "the bucket is full" in job.failure.message
        assert name in job.failure.message


@pytest.mark.parametrize(("claimed_s", "warnings"), [(2.4, 0), (5.0, 1), (0.5, 1)])
async def test_a_duration_that_the_vendor_claims_and_the_audio_has_not_is_told(
    rig: Rig, claimed_s: float, warnings: int
) -> None:
    rig.transport.media = {LINK: WAV}
    tracks = [{"id": "t1", "url": LINK, "duration_s": claimed_s}]
    job, _ = await step(rig, await accepted(rig), {"status": "done", "tracks": tracks})
    told = [one for one in job.warnings if one.code is WarningCode.DIFFERS]
    assert len(told) == warnings
    assert job.usage is not None
    assert job.usage.output_audio_seconds == 2.0


async def test_finished_files_are_tagged_where_the_operator_wants_it(rig: Rig) -> None:
    keeper = rig.context.keeper
    assert isinstance(keeper, AudioKeeper)
    keeper.marks = Marks(tags=True)
    job = await finished(rig, MP3, title="Night train", metadata={"artist": "The Lanterns"})
    content = content_of(rig, job.tracks[0])
    for text in (b"Night train", b"The Lanterns", b"AI generated", job.id.encode(), b"musicgate"):
        assert text in content
    assert job.tracks[0].original is not None
    assert about_format(job) == []


# --- signing ---


async def test_finished_files_are_signed_and_the_signature_names_the_original(
    rig: Rig, tmp_path: Path
) -> None:
    rig.context.keeper.marks = Marks(tags=True, signing=fake_signer(tmp_path).signing)
    job = await finished(rig, MP3, format="wav")
    (track,) = job.tracks
    assert track.asset is not None
    assert track.asset.manifest is not None
    manifest = track.asset.manifest
    assert (manifest.validity, manifest.signer, manifest.states_ai) == ("valid", "Fake signer", True)
    assert track.original is not None
    assert track.original.manifest is None


async def test_the_loss_of_a_manifest_in_a_conversion_is_told(rig: Rig, tmp_path: Path) -> None:
    source, tags = tmp_path / "source.mp3", Tags(provider="p", model="m", tool="t", job_id="j")
    source.write_bytes(MP3)
    sign(source, source, AudioKind.MP3, tags, fake_signer(tmp_path).signing)
    job = await finished(rig, source.read_bytes(), format="ogg")
    assert job.tracks[0].original is not None
    assert job.tracks[0].original.manifest is not None
    assert "without its C2PA manifest" in about_format(job)[0][1]


@pytest.mark.parametrize(
    ("names", "key", "message"),
    [
        (("certificate.pem", ""), "assets.sign_key", "is needed"),
        (("", "key.pem"), "assets.sign_certificate", "is needed"),
        (("certificate.pem", "none.pem"), "assets.sign_key", "names no file"),
        (("key.pem", "key.pem"), "assets.sign_certificate", "cannot be used"),
    ],
)
def test_signing_settings_that_cannot_work_stop_the_start(
    tmp_path: Path, names: tuple[str, str], key: str, message: str
) -> None:
    fake_signer(tmp_path)
    certificate, own_key = (str(tmp_path / name) if name else "" for name in names)
    settings = Settings(assets=AssetSettings(sign_certificate=certificate, sign_key=own_key))
    with pytest.raises(ConfigError, match=f"{key}.*{message}"):
        marks_of(settings)


def test_signing_settings_that_work_are_used(tmp_path: Path) -> None:
    signing = fake_signer(tmp_path).signing
    assets = AssetSettings(sign_certificate=str(signing.certificate), sign_key=str(signing.key))
    assert marks_of(Settings(assets=assets)) == Marks(signing=signing)
    assert not marks_of(Settings())
