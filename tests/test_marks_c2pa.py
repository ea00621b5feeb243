"""C2PA manifests are reported, made and never trusted; nothing of it asks the network."""

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import av
import c2pa
import pytest

from musicgate.assets import AudioKind
from musicgate.assets.audio import content_type
from musicgate.assets.marks import (
    ManifestFate,
    ManifestReport,
    SigningKey,
    Tags,
    Validity,
    check_signing,
    find_manifest,
    manifest_fate,
    read_manifest,
    sign,
    write_tags,
)
from musicgate.assets.marks.c2pa import _settings
from musicgate.assets.marks.id3 import Frame, Id3Tag, id3_bytes, read_id3
from musicgate.emulation.tones import AudioFormat, Container, song
from musicgate.errors import MarksError
from tests.fake_certificates import FakeSigner, fake_signer

TAGS = Tags(
    title="Blue hour",
    artist="Ana",
    provider="suno",
    model="suno/v5",
    tool="musicgate 0.1.0",
    job_id="music_1",
)
KINDS = [AudioKind.MP3, AudioKind.WAV, AudioKind.FLAC, AudioKind.M4A]
SONGS = {kind: song(AudioFormat(container=Container(kind.value)), 0.3) for kind in KINDS}


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> FakeSigner:
    return fake_signer(tmp_path_factory.mktemp("certificates"))


def unsigned(folder: Path, kind: AudioKind) -> Path:
    path = folder / f"song.{kind}"
    path.write_bytes(SONGS[kind])
    return path


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> AudioKind:
    return AudioKind(request.param)


@pytest.fixture
def signed(tmp_path: Path, kind: AudioKind, signer: FakeSigner) -> Path:
    path = unsigned(tmp_path, kind)
    sign(path, path, kind, TAGS, signer.signing)
    return path


def manifests(path: Path, kind: AudioKind) -> dict[str, Any]:
    """The library's whole account."""
    with path.open("rb") as file, c2pa.Reader(content_type(kind), file) as reader:
        store: dict[str, Any] = json.loads(reader.json())
        return store


def actions(path: Path, kind: AudioKind) -> list[dict[str, Any]]:
    """The actions of the manifest that holds."""
    store = manifests(path, kind)
    assertions = store["manifests"][store["active_manifest"]]["assertions"]
    return [action for one in assertions if "actions" in one["label"] for action in one["data"]["actions"]]


def samples(path: Path) -> bytes:
    with av.open(str(path)) as reader:
        return b"".join(bytes(plane) for frame in reader.decode(audio=0) for plane in frame.planes)


def test_a_file_without_a_manifest_has_no_report(tmp_path: Path, kind: AudioKind) -> None:
    assert read_manifest(unsigned(tmp_path, kind)) is None


@pytest.mark.parametrize(
    "content", [b"", b"ID3", b"RIFF", b"RIFF\4\0\0\0WAVE", b"\0\0\0\x08ftyp", b"OggS", b"{}"]
)
def test_what_is_no_audio_has_no_report(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "song"
    path.write_bytes(content)
    assert read_manifest(path) is None


def test_a_signed_file_states_what_we_know(signed: Path) -> None:
    assert read_manifest(signed) == ManifestReport(
        validity=Validity.VALID,
        reason="the signer is on no trust list that was given",
        signer="Fake signer",
        issuer="No Such Label (test)",
        claim_generator="musicgate 0.1.0",
        states_ai=True,
        title="Blue hour",
    )


def test_a_signer_of_the_trust_list_is_trusted(signed: Path, signer: FakeSigner) -> None:
    report = read_manifest(signed, trust_anchors=signer.root)
    assert report is not None
    assert (report.validity, report.reason) == (Validity.TRUSTED, None)


def test_a_manifest_names_provider_model_tool_and_job(signed: Path, kind: AudioKind) -> None:
    (action,) = actions(signed, kind)
    assert action["action"] == "c2pa.created"
    assert action["digitalSourceType"].endswith("/trainedAlgorithmicMedia")
    assert action["description"] == "AI generated with suno/v5 by suno through musicgate 0.1.0, job music_1"
    assert action["parameters"] | {"AI_MODEL": "suno/v5", "AI_JOB_ID": "music_1"} == action["parameters"]


def test_signing_keeps_the_audio(tmp_path: Path, kind: AudioKind, signer: FakeSigner) -> None:
    path = unsigned(tmp_path, kind)
    target = tmp_path / "signed"
    sign(path, target, kind, TAGS, signer.signing)
    assert path.read_bytes() == SONGS[kind]
    assert samples(target) == samples(path)


def test_changed_audio_makes_the_manifest_invalid(signed: Path, kind: AudioKind) -> None:
    content = bytearray(signed.read_bytes())
    audio = SONGS[kind][len(SONGS[kind]) // 2 :][:64]
    content[content.index(audio) + 8] ^= 1
    signed.write_bytes(content)
    report = read_manifest(signed)
    assert report is not None
    assert report.validity is Validity.INVALID
    assert report.reason is not None
    assert "Hash.mismatch" in report.reason
    assert report.states_ai


def test_a_damaged_manifest_is_reported_with_a_reason(signed: Path) -> None:
    content = signed.read_bytes()
    at = content.index(b"c2pa.claim")
    signed.write_bytes(content[:at] + bytes(10) + content[at + 10 :])
    report = read_manifest(signed)
    assert report is not None
    assert report.validity is Validity.INVALID
    assert report.reason


def test_a_file_changed_at_any_place_raises_nothing(signed: Path, kind: AudioKind) -> None:
    content = signed.read_bytes()
    start = content.index(b"jumb")
    for at in range(max(0, start - 80), min(len(content), start + 3_000), 97):
        signed.write_bytes(content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :])
        report = read_manifest(signed)
        assert report is None or report.reason, at


def test_a_manifest_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    manifest = b"\0application/c2pa\0\0\0" + bytes(8 * 1024 * 1024)
    path = tmp_path / "song.mp3"
    tag = id3_bytes(Id3Tag(frames=(Frame(name=b"GEOB", flags=b"\0\0", content=manifest),)))
    path.write_bytes(tag + SONGS[AudioKind.MP3])
    report = read_manifest(path)
    assert report is not None
    assert report.validity is Validity.NOT_CHECKED
    assert "at most 8,388,608 are read" in str(report.reason)


def test_compressed_id3_frames_are_not_unpacked_beside_a_manifest(tmp_path: Path) -> None:
    frames = (
        Frame(name=b"GEOB", flags=b"\0\0", content=b"\0application/c2pa\0\0\0jumb"),
        Frame(name=b"APIC", flags=b"\0\x09", content=b"\0\0\0\1bomb"),
    )
    path = tmp_path / "song.mp3"
    path.write_bytes(id3_bytes(Id3Tag(frames=frames)) + SONGS[AudioKind.MP3])
    report = read_manifest(path)
    assert report is not None
    assert (report.validity, report.reason) == (
        Validity.NOT_CHECKED,
        "the ID3 tag has compressed frames, which are not unpacked",
    )


def test_without_the_library_a_manifest_is_present_and_not_checked(
    signed: Path, monkeypatch: pytest.MonkeyPatch, signer: FakeSigner, kind: AudioKind
) -> None:
    monkeypatch.setitem(sys.modules, "c2pa", None)
    report = read_manifest(signed)
    assert report is not None
    assert report.validity is Validity.NOT_CHECKED
    assert "musicgate[c2pa]" in str(report.reason)
    assert report.states_ai is None
    with pytest.raises(MarksError, match=r"musicgate\[c2pa\]"):
        sign(signed, signed, kind, TAGS, signer.signing)


@pytest.fixture
def manifest_server() -> Iterator[tuple[str, list[str]]]:
    """A server that would give manifests; its address, and the paths that were asked for."""
    asked: list[str] = []

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/song.c2pa", asked
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_manifest_that_is_kept_elsewhere_is_not_fetched(
    tmp_path: Path, kind: AudioKind, signer: FakeSigner, manifest_server: tuple[str, list[str]]
) -> None:
    url, asked = manifest_server
    path, signing = tmp_path / "remote", signer.signing
    created = {"action": "c2pa.created", "digitalSourceType": "http://c2pa.org/digitalsourcetype/empty"}
    definition = {"assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [created]}}]}
    info = c2pa.C2paSignerInfo("es256", signing.certificate.read_bytes(), signing.key.read_bytes(), None)
    with (
        c2pa.Context.from_dict(_settings()) as context,
        c2pa.Builder(definition, context=context) as builder,
        c2pa.Signer.from_info(info) as by,
        unsigned(tmp_path, kind).open("rb") as source,
        path.open("w+b") as target,
    ):
        builder.set_no_embed()
        builder.set_remote_url(url)
        builder.sign(by, content_type(kind), source, target)
    with pytest.raises(c2pa.C2paError), path.open("rb") as file:
        c2pa.Reader(content_type(kind), file)
    assert asked == ["/song.c2pa"]  # the library fetches by default
    report = read_manifest(path)
    assert report is not None
    assert report.validity is Validity.NOT_CHECKED
    assert "another address" in str(report.reason)
    with (
        pytest.raises(c2pa.C2paError),
        path.open("rb") as file,
        c2pa.Context.from_dict(_settings()) as context,
    ):
        c2pa.Reader(content_type(kind), file, context=context)
    assert asked == ["/song.c2pa"]


def test_the_library_gets_two_reasons_to_leave_the_network_alone() -> None:
    settings: dict[str, Any] = _settings()
    assert settings["verify"] == {"remote_manifest_fetch": False, "ocsp_fetch": False}
    assert settings["core"]["allowed_network_hosts"] == []


def test_a_signature_that_does_not_hold_is_no_signature(
    tmp_path: Path, signer: FakeSigner, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = ManifestReport(validity=Validity.INVALID, reason="hash mismatch")
    monkeypatch.setattr("musicgate.assets.marks.c2pa.read_manifest", lambda _path: broken)
    path = unsigned(tmp_path, AudioKind.MP3)
    with pytest.raises(MarksError, match="does not hold: hash mismatch"):
        sign(path, path, AudioKind.MP3, TAGS, signer.signing)
    assert path.read_bytes() == SONGS[AudioKind.MP3]


def test_a_certificate_is_tried_before_it_is_needed(tmp_path: Path, signer: FakeSigner) -> None:
    check_signing(signer.signing)
    other = fake_signer(tmp_path).signing
    with pytest.raises(MarksError, match="does not match"):
        check_signing(SigningKey(certificate=signer.signing.certificate, key=other.key))


def test_a_signed_file_is_not_tagged_without_being_signed_again(signed: Path, kind: AudioKind) -> None:
    before = signed.read_bytes()
    with pytest.raises(MarksError, match="signed again"):
        write_tags(signed, kind, TAGS)
    assert signed.read_bytes() == before


def test_a_tagged_and_signed_file_names_the_signed_original(
    signed: Path, kind: AudioKind, signer: FakeSigner
) -> None:
    write_tags(signed, kind, Tags(**{**_texts(), "title": "Another title"}), signing=signer.signing)
    report = read_manifest(signed)
    assert report is not None
    assert (report.validity, report.title, report.states_ai) == (Validity.VALID, "Another title", True)
    store = manifests(signed, kind)
    active = store["manifests"][store["active_manifest"]]
    (parent,) = active["ingredients"]
    assert parent["relationship"] == "parentOf"
    assert store["manifests"][parent["active_manifest"]]["title"] == "Blue hour"
    assert [one["action"] for one in actions(signed, kind)] == ["c2pa.opened", "c2pa.edited.metadata"]
    assert len(list(signed.parent.iterdir())) == 1


def test_a_conversion_of_a_signed_file_names_it(tmp_path: Path, signer: FakeSigner) -> None:
    original, converted = unsigned(tmp_path, AudioKind.MP3), unsigned(tmp_path, AudioKind.WAV)
    sign(original, original, AudioKind.MP3, TAGS, signer.signing)
    write_tags(converted, AudioKind.WAV, TAGS, signing=signer.signing, parent=original)
    store = manifests(converted, AudioKind.WAV)
    active = store["manifests"][store["active_manifest"]]
    done = [one["action"] for one in actions(converted, AudioKind.WAV)]
    assert done == ["c2pa.opened", "c2pa.transcoded"]
    assert active["ingredients"][0]["active_manifest"] in store["manifests"]
    assert read_manifest(converted, trust_anchors=signer.root).validity is Validity.TRUSTED  # type: ignore[union-attr]


def test_the_statement_of_an_ingredient_counts(tmp_path: Path, signer: FakeSigner) -> None:
    """A later edit need not repeat that AI generated the song."""
    original = unsigned(tmp_path, AudioKind.MP3)
    sign(original, original, AudioKind.MP3, TAGS, signer.signing)
    edited, signing = tmp_path / "edited.mp3", signer.signing
    info = c2pa.C2paSignerInfo("es256", signing.certificate.read_bytes(), signing.key.read_bytes(), None)
    with (
        c2pa.Context.from_dict(_settings()) as context,
        c2pa.Builder({"title": "Edited"}, context=context) as builder,
        c2pa.Signer.from_info(info) as by,
        original.open("rb") as source,
        edited.open("w+b") as target,
    ):
        builder.set_intent(c2pa.C2paBuilderIntent.EDIT)
        builder.add_ingredient({"relationship": "parentOf"}, "audio/mpeg", source)
        source.seek(0)
        builder.sign(by, "audio/mpeg", source, target)
    report = read_manifest(edited)
    assert report is not None
    assert (report.title, report.states_ai) == ("Edited", True)


def test_a_manifest_of_a_recording_does_not_state_ai(tmp_path: Path, signer: FakeSigner) -> None:
    path, signing = tmp_path / "recorded.wav", signer.signing
    info = c2pa.C2paSignerInfo("es256", signing.certificate.read_bytes(), signing.key.read_bytes(), None)
    with (
        c2pa.Context.from_dict(_settings()) as context,
        c2pa.Builder({"title": "Live"}, context=context) as builder,
        c2pa.Signer.from_info(info) as by,
        unsigned(tmp_path, AudioKind.WAV).open("rb") as source,
        path.open("w+b") as target,
    ):
        builder.set_intent(c2pa.C2paBuilderIntent.CREATE, c2pa.C2paDigitalSourceType.DIGITAL_CAPTURE)
        builder.sign(by, "audio/wav", source, target)
    report = read_manifest(path)
    assert report is not None
    assert (report.validity, report.states_ai) == (Validity.VALID, False)


def _texts() -> dict[str, str]:
    return {"provider": "suno", "model": "suno/v5", "tool": "musicgate 0.1.0", "job_id": "music_1"}


@pytest.mark.parametrize("kind", [AudioKind.OPUS, AudioKind.OGG, AudioKind.AAC])
def test_kinds_that_c2pa_does_not_cover_are_refused(
    tmp_path: Path, kind: AudioKind, signer: FakeSigner
) -> None:
    path = tmp_path / "song"
    path.write_bytes(b"any")
    with pytest.raises(MarksError, match="cannot be signed: C2PA signs flac, m4a, mp3, wav"):
        sign(path, path, kind, TAGS, signer.signing)


def test_keys_that_cannot_be_used_are_named_without_their_content(tmp_path: Path, signer: FakeSigner) -> None:
    path = unsigned(tmp_path, AudioKind.MP3)
    right, other = signer.signing, fake_signer(tmp_path, common_name="Other").signing
    expired_folder = tmp_path / "expired"
    expired_folder.mkdir()
    expired = fake_signer(expired_folder, days=-1).signing
    text = tmp_path / "text.pem"
    text.write_text("SECRET-SECRET")
    for signing, message in (
        (SigningKey(certificate=tmp_path / "none.pem", key=right.key), "none.pem cannot be read"),
        (SigningKey(certificate=right.certificate, key=text), "text.pem is not PEM"),
        (SigningKey(certificate=right.certificate, key=other.key), "does not match"),
        (SigningKey(certificate=right.certificate, key=right.certificate), "cannot be signed"),
        (expired, "cannot be signed|does not hold"),
    ):
        with pytest.raises(MarksError, match=message) as caught:
            sign(path, path, AudioKind.MP3, TAGS, signing)
        assert "SECRET" not in str(caught.value)
        assert path.read_bytes() == SONGS[AudioKind.MP3]


def test_a_tag_that_the_library_would_drop_is_not_signed(tmp_path: Path, signer: FakeSigner) -> None:
    frames = (Frame(name=b"XENC", flags=b"\0\4", content=b"\1secret"),)
    path = tmp_path / "song.mp3"
    path.write_bytes(id3_bytes(Id3Tag(frames=frames)) + SONGS[AudioKind.MP3])
    with pytest.raises(MarksError, match="drop frames"):
        sign(path, path, AudioKind.MP3, TAGS, signer.signing)
    with path.open("rb") as file:
        assert read_id3(file).frames == frames


def test_texts_of_a_manifest_are_bounded_and_on_one_line(tmp_path: Path, signer: FakeSigner) -> None:
    path, signing = tmp_path / "long.wav", signer.signing
    info = c2pa.C2paSignerInfo("es256", signing.certificate.read_bytes(), signing.key.read_bytes(), None)
    with (
        c2pa.Context.from_dict(_settings()) as context,
        c2pa.Builder({"title": "a\x1b[2J\n" + "x " * 5_000}, context=context) as builder,
        c2pa.Signer.from_info(info) as by,
        unsigned(tmp_path, AudioKind.WAV).open("rb") as source,
        path.open("w+b") as target,
    ):
        builder.set_intent(c2pa.C2paBuilderIntent.CREATE, c2pa.C2paDigitalSourceType.DIGITAL_CAPTURE)
        builder.sign(by, "audio/wav", source, target)
    report = read_manifest(path)
    assert report is not None
    assert report.title is not None
    assert report.title.startswith("a [2J x x")
    assert len(report.title) <= 200


@pytest.mark.parametrize(
    ("has_manifest", "source", "target", "is_signed", "fate"),
    [
        (False, "mp3", "wav", True, ManifestFate.NONE),
        (True, "mp3", "mp3", False, ManifestFate.KEPT),
        (True, "mp3", "wav", False, ManifestFate.LOST),
        (True, "mp3", "wav", True, ManifestFate.NAMED),
        (True, "wav", "opus", True, ManifestFate.LOST),
    ],
)
def test_a_conversion_loses_a_manifest_unless_it_is_signed(
    has_manifest: bool, source: str, target: str, is_signed: bool, fate: ManifestFate
) -> None:
    kinds = {"source": AudioKind(source), "target": AudioKind(target)}
    assert manifest_fate(has_manifest=has_manifest, is_signed=is_signed, **kinds) is fate


def test_a_manifest_in_an_adts_stream_is_found_and_not_checked(tmp_path: Path) -> None:
    content = b"\0application/c2pa\0\0\0jumb"
    tag = id3_bytes(Id3Tag(frames=(Frame(name=b"GEOB", flags=b"\0\0", content=content),)))
    path = tmp_path / "song.aac"
    path.write_bytes(tag + bytes.fromhex("fff15080015ffc") + bytes(100))
    found = find_manifest(path)
    assert found is not None
    assert (found.kind, found.obstacle) == (AudioKind.AAC, "manifests in aac files cannot be read")
