"""ULIDs: unique, and in the order in which they were made."""

import re
import threading
import time

import pytest

from musicgate.aio import new_id, new_token
from musicgate.aio.ids import UlidSource

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def number_of(text: str) -> int:
    """The 128 bits of a ULID."""
    number = 0
    for letter in text:
        number = number * 32 + ALPHABET.index(letter)
    return number


def test_an_id_has_its_prefix_and_the_26_characters_of_a_ulid() -> None:
    made = new_id("music_")
    assert made.startswith("music_")
    assert len(made) == 32
    assert set(made[6:]) <= set(ALPHABET)


def test_a_ulid_begins_with_its_time_in_milliseconds() -> None:
    before, text, after = time.time_ns(), UlidSource().new(), time.time_ns()
    assert before // 1_000_000 <= number_of(text) >> 80 <= after // 1_000_000


def test_all_bits_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("musicgate.aio.ids.os.urandom", lambda count: bytes(range(0x80, 0x80 + count)))
    monkeypatch.setattr("musicgate.aio.ids.time.time_ns", lambda: 0x0123_4567_89AB * 1_000_000)
    source = UlidSource()
    made = (0x0123_4567_89AB << 80) + (0x80_81_82_83_84 << 40) + (0x85_86_87_88_89 >> 1)
    assert [number_of(source.new()) for _ in range(3)] == [made, made + 1, made + 2]


def test_each_ulid_has_the_time_when_it_was_made(monkeypatch: pytest.MonkeyPatch) -> None:
    times = [1_023, 1_024, 1_025, 2_049, 2**40, 2**48 - 1]
    source, clock = UlidSource(), iter(times)
    monkeypatch.setattr("musicgate.aio.ids.time.time_ns", lambda: next(clock) * 1_000_000)
    assert [number_of(source.new()) >> 80 for _ in times] == times


def test_ids_sort_by_the_order_in_which_they_were_made() -> None:
    made = [new_id("") for _ in range(10_000)]
    assert made == sorted(set(made))


def test_ids_go_on_upwards_after_the_clock_was_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    source, seconds = UlidSource(), iter([2_000, 1_000, 1_000, 3_000])
    monkeypatch.setattr("musicgate.aio.ids.time.time_ns", lambda: next(seconds) * 1_000_000_000)
    made = [source.new() for _ in range(4)]
    assert made == sorted(set(made))


def test_a_token_is_32_letters_that_a_url_takes_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    made = {new_token() for _ in range(1_000)}
    assert len(made) == 1_000
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{32}", token) for token in made)
    monkeypatch.setattr("musicgate.aio.ids.os.urandom", lambda count: b"\xfb\xff" * (count // 2))
    assert new_token() == "-__7__v_" * 4


def test_threads_never_get_the_same_id() -> None:
    source = UlidSource()
    made: list[list[str]] = [[] for _ in range(4)]
    threads = [
        threading.Thread(target=lambda own: own.extend(source.new() for _ in range(2_000)), args=(own,))
        for own in made
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({text for own in made for text in own}) == 8_000


def test_ids_of_one_millisecond_count_up_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("musicgate.aio.ids.time.time_ns", lambda: 1_000_000)
    source = UlidSource()
    numbers = [number_of(source.new()) for _ in range(3_000)]  # the last ten bits run over twice
    assert numbers == list(range(numbers[0], numbers[0] + 3_000))
