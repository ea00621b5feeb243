"""Tracks that are read by a table of places."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from musicgate.plugin import At, NativeTrack, TrackTable

TRACK = TrackTable(
    native_id=At("id", "songId"),
    audio_url=At("audioUrl", "audio.url", "source"),
    stream_audio_url=At("stream"),
    image_url=At("cover"),
    title=At("title"),
    tags=At("tags"),
    duration_s=At("seconds", "meta.length"),
    lyrics=At("words"),
    native_model=At("model"),
    created_at=At("made"),
    expires_at=At("until"),
    failure_message=At("error"),
)
LINK = "https://a.test/1.mp3"


def test_each_fact_is_read_from_its_place() -> None:
    item = {
        "id": 7,
        "audioUrl": LINK,
        "stream": "https://a.test/s",
        "cover": "https://a.test/c.png",
        "title": " Rain ",
        "tags": "jazz",
        "seconds": "8 s",
        "words": " la\n",
        "model": "v1",
        "made": 1_790_000_000_000,
        "until": "2026-09-21T14:13:21Z",
        "error": "too loud",
    }
    assert TRACK.read(item) == NativeTrack(
        native_id="7",
        audio_url=LINK,
        stream_audio_url="https://a.test/s",
        image_url="https://a.test/c.png",
        title="Rain",
        tags="jazz",
        duration_s=8.0,
        lyrics=" la\n",
        native_model="v1",
        created_at=datetime(2026, 9, 21, 14, 13, 20, tzinfo=UTC),
        expires_at=datetime(2026, 9, 21, 14, 13, 21, tzinfo=UTC),
        failure_message="too loud",
    )


def test_the_first_place_that_can_be_read_counts() -> None:
    track = TRACK.read({"id": "", "songId": "s", "seconds": 0, "meta": {"length": 9}})
    assert track == NativeTrack(native_id="s", duration_s=9.0)


def test_further_links_are_fallbacks_in_order_and_each_once() -> None:
    other = "https://b.test/1.mp3"
    track = TRACK.read({"audioUrl": "soon", "audio": {"url": other}, "source": LINK})
    assert track == NativeTrack(audio_url=other, fallback_urls=(LINK,))
    track = TRACK.read({"audioUrl": LINK, "audio": {"url": LINK}, "source": other})
    assert track == NativeTrack(audio_url=LINK, fallback_urls=(other,))


def test_each_id_of_a_list_is_read_once() -> None:
    listed = [{"id": "a"}, {}, "x", {"id": "b"}, {"audioUrl": LINK}, {"id": "a", "audioUrl": LINK}]
    assert TRACK.read_all(listed) == (
        NativeTrack(native_id="a", audio_url=LINK),
        NativeTrack(native_id="b"),
        NativeTrack(audio_url=LINK),
    )
    assert TRACK.read_all({"id": "a"}) == (NativeTrack(native_id="a"),)
    assert TRACK.read_all(None) == ()


def test_facts_are_read_where_there_is_neither_an_id_nor_a_link() -> None:
    assert TRACK.facts_of({"title": "Rain"}) == NativeTrack(title="Rain")
    assert TRACK.facts_of("x") == NativeTrack()


def test_a_failure_without_an_id_is_a_track_that_failed() -> None:
    assert TRACK.read({"error": "too loud", "title": "x"}) == NativeTrack(
        title="x", failure_message="too loud"
    )


@pytest.mark.parametrize("item", [{}, {"title": "Rain", "seconds": 8}, None, "x", [], {"audioUrl": "/1.mp3"}])
def test_an_object_without_an_id_a_link_or_a_failure_is_no_track(item: object) -> None:
    assert TRACK.read(item) is None


@given(
    st.dictionaries(
        st.sampled_from(["id", "audioUrl", "audio", "seconds", "meta", "words", "made", "until", "error"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
            max_leaves=6,
        ),
    )
)
def test_it_raises_for_no_json(item: dict[str, Any]) -> None:
    track = TRACK.read(item)
    assert track is None or track.native_id or track.audio_url or track.failure_message
