"""Peaks are those of the samples, in the format that players read, and pictures show them."""

import io
import json
import math
import struct
from array import array
from pathlib import Path

import av
import pytest

from musicgate.assets.audio import riff_wav
from musicgate.assets.peaks import DARK, MOST_POINTS, Colours, Peaks, draw_png, draw_svg, find_peaks
from musicgate.emulation.tones import AudioFormat, song
from musicgate.errors import NotAudioError

#: Ten stretches of 100 samples of a square wave that grows; the right channel is half as loud.
STEPS = array("h", (
    side * (-1) ** sample * 3_000 * step // 2
    for step in range(1, 11) for sample in range(100) for side in (2, 1)
))  # fmt: skip
WAV = riff_wav(STEPS.tobytes(), sample_rate_hz=44_100, channels=2)
FOUND = Peaks(
    sample_rate_hz=8_000, samples_per_point=10, pairs=((-1.0, 1.0), (-0.5, 0.25), (0.0, 0.0), (-0.1, 0.0))
)


def test_peaks_are_the_extremes_of_all_channels_in_each_stretch(tmp_path: Path) -> None:
    found = find_peaks(WAV, 10)
    assert (found.sample_rate_hz, found.samples_per_point) == (44_100, 100)
    expected = [(-3_000 * step / 32_768, 3_000 * step / 32_768) for step in range(1, 11)]
    assert [pytest.approx(pair, abs=1e-5) for pair in expected] == list(found.pairs)
    (tmp_path / "song").write_bytes(WAV)
    assert find_peaks(tmp_path / "song", 10) == found


def test_the_last_stretch_may_be_shorter_and_a_short_song_has_fewer_points() -> None:
    assert [len(find_peaks(WAV, points).pairs) for points in (1, 3, 7, 1_000, 5_000)] == [
        1,
        3,
        7,
        1_000,
        1_000,
    ]
    assert find_peaks(WAV, 3).samples_per_point == 334


def test_the_json_is_that_of_audiowaveform() -> None:
    assert json.loads(json.dumps(FOUND.to_json())) == {
        "version": 2, "channels": 1, "sample_rate": 8_000, "samples_per_pixel": 10, "bits": 16, "length": 4,
        "data": [-32_767, 32_767, -16_384, 8_192, 0, 0, -3_277, 0],
    }  # fmt: skip


def test_samples_that_are_no_numbers_or_too_large_stay_inside(tmp_path: Path) -> None:
    samples = struct.pack("<6f", math.nan, math.inf, -math.inf, 7.0, -7.0, 0.5) * 500
    content = bytearray(riff_wav(samples, sample_rate_hz=44_100, channels=1, bits_per_sample=32))
    content[20] = 3  # floating point
    assert all(-1 <= low <= high <= 1 for low, high in find_peaks(bytes(content), 100).pairs)


@pytest.mark.parametrize("points", [0, -1, MOST_POINTS + 1])
def test_an_impossible_number_of_points_is_refused(points: int) -> None:
    with pytest.raises(ValueError, match="1 to 20000 points"):
        find_peaks(WAV, points)


def test_what_is_no_audio_has_no_peaks() -> None:
    with pytest.raises(NotAudioError):
        find_peaks(b"<html>")
    with pytest.raises(NotAudioError, match="took more than 0 s"):
        find_peaks(WAV, limit_s=0.0)


def test_the_svg_is_a_path_through_all_peaks() -> None:
    drawn = draw_svg(FOUND, 40, 20, colours=Colours(wave=(255, 0, 16))).decode()
    assert drawn.startswith('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 20" ')
    assert '<path fill="#ff0010" ' in drawn
    assert 'd="M0 0L10 7.5L20 10L30 10L30 11L20 10L10 15L0 20Z"/></svg>' in drawn
    assert b"rect" in draw_svg(FOUND, colours=Colours(background=(1, 2, 3)))


def decoded(content: bytes) -> tuple[av.VideoFrame, list[tuple[int, ...]]]:
    with av.open(io.BytesIO(content), "r") as reader:
        frame = next(reader.decode(video=0)).reformat(format="rgba")
    plane = bytes(frame.planes[0])
    line = frame.planes[0].line_size
    return frame, [tuple(plane[y * line + x * 4 : y * line + x * 4 + 4])
                   for y in range(frame.height) for x in range(frame.width)]  # fmt: skip


def test_the_png_shows_each_column_from_its_lowest_to_its_highest_peak() -> None:
    frame, pixels = decoded(draw_png(FOUND, 4, 9, colours=DARK))
    assert (frame.width, frame.height) == (4, 9)
    shown = [[y for y in range(9) if pixels[y * 4 + x] == (*DARK.wave, 255)] for x in range(4)]
    assert shown == [list(range(9)), [3, 4, 5, 6], [4], [4]]
    assert {pixel[3] for pixel in pixels} == {0, 255}
    _, opaque = decoded(draw_png(FOUND, 4, 9, colours=Colours(background=(9, 8, 7))))
    assert (9, 8, 7, 255) in opaque


@pytest.mark.parametrize("width, height", [(1, 1), (7, 3), (1_000, 120), (4_096, 10)])
def test_pictures_of_a_song_have_the_size_that_was_asked_for(width: int, height: int) -> None:
    found = find_peaks(song(AudioFormat(), 1.0), 500)
    frame, pixels = decoded(draw_png(found, width, height))
    assert (frame.width, frame.height, len(pixels)) == (width, height, width * height)


@pytest.mark.parametrize("width, height", [(0, 1), (1, 0), (4_097, 1), (1, 4_097)])
def test_an_impossible_size_is_refused(width: int, height: int) -> None:
    for draw in (draw_svg, draw_png):
        with pytest.raises(ValueError, match="1 to 4096 pixels"):
            draw(FOUND, width, height)
