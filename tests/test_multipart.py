"""The multipart reader: every known quirk, and a recording cut at every byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from musicgate.assets import measure_bytes
from musicgate.emulation import (
    MULTIPART_FAULTS,
    AudioFormat,
    Container,
    song,
    with_boundary_inside,
    write_multipart,
)
from musicgate.plugin import Part, read_multipart

TYPE = "multipart/mixed; boundary=b0"
JSON = b'{"song_metadata": {"title": "T"}}'
#: Line ends, dashes and the text of the boundary, but no full delimiter.
AUDIO = b"\r\n--\r\n\n--b0x\r\n--b0--more\r\n-b0 --b0\r\n\x00\xff\r\n--b\r\n\r\n"


def recording(line_end: bytes = b"\r\n", audio: bytes = AUDIO) -> bytes:
    lines = (
        b"--b0",
        b"Content-Type: application/json",
        b"",
        JSON,
        b"--b0",
        b"Content-Type: audio/mpeg",
        b'Content-Disposition: attachment; filename="song.mp3"',
        b"",
        audio,
        b"--b0--",
        b"",
    )
    return line_end.join(lines)


def read_parts(body: bytes, content_type: str | None = TYPE) -> tuple[list[tuple[str, bytes]], bool]:
    read = read_multipart(content_type, body, is_expected=True)
    assert read is not None
    return [(part.header("content-type"), part.body) for part in read.parts], read.is_closed


WHOLE = [("application/json", JSON), ("audio/mpeg", AUDIO)]


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"])
@pytest.mark.parametrize(
    "content_type",
    [
        TYPE,
        'multipart/mixed; boundary="b0"',
        "Multipart/Mixed; charset=x; Boundary = b0 ; x=y",
        "multipart/mixed",
        "multipart/mixed; boundary=another",
        None,
    ],
)
def test_both_line_ends_and_every_spelling_of_the_boundary_are_read(
    line_end: bytes, content_type: str | None
) -> None:
    assert read_parts(recording(line_end), content_type) == (WHOLE, True)


def test_bytes_before_the_first_boundary_are_skipped() -> None:
    for preamble in (b"glued", b"lines\r\n\r\n", b"\r\n", b"--b0 is not it, "):
        assert read_parts(preamble + recording()) == (WHOLE, True)


@pytest.mark.parametrize("end", [b"", b"\r\n", b"\n", b"\r\n\r\n \t"])
def test_white_space_after_the_closing_boundary_is_ignored(end: bytes) -> None:
    assert read_parts(recording()[:-2] + end) == (WHOLE, True)


def test_closing_boundary_without_a_line_end_before_it_is_trimmed() -> None:
    body = recording(audio=b"AUDIO").replace(b"AUDIO\r\n", b"AUDIO")
    assert read_parts(body)[0][1] == ("audio/mpeg", b"AUDIO")


@pytest.mark.parametrize(
    ("tail", "left"),
    [
        (b"\r\n", b""),
        (b"\n", b""),
        (b"\r\n\r\n", b"\r\n"),
        (b"\n\n", b"\n"),
        (b"\r", b"\r"),
        (b"\r\n\n", b"\r\n"),
    ],
)
def test_exactly_one_line_end_before_the_closing_boundary_is_trimmed(tail: bytes, left: bytes) -> None:
    body = recording(audio=b"AUDIO").replace(b"AUDIO\r\n", b"AUDIO" + tail)
    assert read_parts(body)[0][1][1] == b"AUDIO" + left


@pytest.mark.parametrize("torn", [b"", b"\r\n--", b"\r\n--b", b"\r\n--b0", b"\r\n--b0-", b"\n--b0"])
def test_without_a_closing_boundary_the_audio_extends_to_the_end(torn: bytes) -> None:
    body = recording(audio=b"AUDIO").replace(b"\r\n--b0--\r\n", torn)
    assert read_parts(body) == ([WHOLE[0], ("audio/mpeg", b"AUDIO")], False)


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"])
def test_recording_cut_at_any_byte_is_closed_only_with_its_closing_boundary(line_end: bytes) -> None:
    # A cut right after a closing boundary inside the audio would look like the end.
    audio = AUDIO.replace(b"--b0--", b"--b0-")
    body = recording(line_end, audio)
    closed_from = len(body) - len(line_end)
    for size in range(len(body) + 1):
        parts, is_closed = read_parts(body[:size])
        assert is_closed == (size >= closed_from), size
        if is_closed:
            assert parts == [WHOLE[0], ("audio/mpeg", audio)], size


def test_headers_of_a_part_may_be_in_any_case_or_missing() -> None:
    body = (
        b"--b0\r\ncontent-TYPE :  Application/JSON; charset=utf-8 \r\n\r\n{}\r\n--b0\r\n\r\nAUDIO\r\n--b0--"
    )
    assert read_parts(body) == ([("Application/JSON; charset=utf-8", b"{}"), ("", b"AUDIO")], True)


def test_part_without_a_blank_line_has_no_body() -> None:
    assert read_parts(b"--b0\r\nContent-Type: audio/mpeg\r\n--b0--") == ([("audio/mpeg", b"")], True)


@pytest.mark.parametrize("body", [b"", b"--b0--\r\n", b"no boundary at all", b"\xff" * 10])
def test_body_without_parts(body: bytes) -> None:
    assert read_parts(body)[0] == []


@pytest.mark.parametrize(
    ("content_type", "body", "is_json"),
    [
        ("application/json", b"", True),
        ("application/problem+json", b"x", True),
        ("", b' \n{"a": 1}', True),
        ("", b"ID3", False),
        ("audio/mpeg", b"{", False),
    ],
)
def test_part_is_json_by_its_type_or_its_first_character(
    content_type: str, body: bytes, *, is_json: bool
) -> None:
    head = f"Content-Type: {content_type}".encode() if content_type else b""
    assert Part(head=head, body=body).is_json is is_json


def test_multipart_is_recognised_by_header_or_where_it_is_expected_by_its_first_line() -> None:
    body = b"--abc\r\nContent-Type: x"
    assert read_multipart("Multipart/mixed; boundary=x", b"ID3") is not None
    assert read_multipart("audio/mpeg", body) is None
    assert read_multipart(None, body) is None
    assert read_multipart("audio/mpeg", body, is_expected=True) is not None
    assert read_multipart(None, b"ID3--abc\r\n", is_expected=True) is None


@given(
    st.binary(max_size=200).filter(lambda audio: b"--b0" not in audio),
    st.sampled_from([b"\r\n", b"\n"]),
)
def test_any_audio_is_read_unchanged(audio: bytes, line_end: bytes) -> None:
    body = recording(line_end, audio)
    parts, is_closed = read_parts(body)
    assert is_closed
    # A CR right before a lone LF looks like a CRLF.
    expected = audio[:-1] if line_end == b"\n" and audio.endswith(b"\r") else audio
    assert parts[1] == ("audio/mpeg", expected)


@given(st.text(max_size=60), st.binary(max_size=200))
def test_reader_never_raises(content_type: str, body: bytes) -> None:
    read_multipart(content_type, body, is_expected=True)
    read_multipart(TYPE, b"--b0\r\n" + body)


PARTS = (({"Content-Type": "application/json"}, JSON), ({"Content-Type": "audio/mpeg"}, AUDIO))


def test_answer_is_written_in_the_layout_of_the_standard() -> None:
    assert write_multipart("b0", *PARTS, faults={"camel"}) == recording().replace(
        b'Content-Disposition: attachment; filename="song.mp3"\r\n', b""
    )


@pytest.mark.parametrize("fault", MULTIPART_FAULTS)
def test_each_oddity_of_an_answer_is_written_and_read(fault: str) -> None:
    # A line end before a closing boundary cannot be told from the audio's own.
    parts = (PARTS[0], ({"Content-Type": "audio/mpeg"}, AUDIO + b"."))
    body = write_multipart("b0", *parts, faults={fault})
    assert body != write_multipart("b0", *parts)
    assert read_parts(body) == ([WHOLE[0], ("audio/mpeg", AUDIO + b".")], fault != "no_closing")


@pytest.mark.parametrize("container", ["mp3", "pcm", "opus"])
def test_audio_may_hold_bytes_that_look_like_its_boundary(container: str) -> None:
    plain = song(AudioFormat(container=Container(container), sample_rate_hz=48_000), 1.0)
    audio = with_boundary_inside(plain, "b0")
    assert (b"\r\n--b0" in audio) == (container != "opus")
    assert len(audio) % 4 == len(plain) % 4 or container == "mp3"
    assert container != "mp3" or measure_bytes(audio).duration_s == measure_bytes(plain).duration_s
    assert read_parts(write_multipart("b0", PARTS[0], ({}, audio)))[0][1] == ("", audio)
    assert with_boundary_inside(b"short", "b0") == b"short"
