"""Secrets in texts: every spelling, every part, and what is left alone."""

import html
import json
import re
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from musicgate.model import Failure, FailureClass
from musicgate.text.masking import MASK, PART_CHARS, Masker, _may_have_escapes, _plain, _spellings

#: Not a real key. It has capitals, digits, characters that URLs, JSON and HTML escape, and an apparent
#: escape.
KEY = 'Test-Key/Not+Real_"01%4a&456=789'
TOKEN = "callback-token-not-real"


def percent(text: str) -> str:
    return "".join(f"%{ord(letter):02x}" for letter in text)


SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "upper case": str.upper,
    "lower case": str.lower,
    "percent-encoded": lambda text: quote(text, safe=""),
    "percent-encoded twice": lambda text: quote(quote(text, safe=""), safe=""),
    "percent-encoded three times": lambda text: quote(quote(quote(text, safe=""), safe=""), safe=""),
    "every letter percent-encoded": percent,
    "every letter percent-encoded twice": lambda text: percent(text).replace("%", "%25"),
    "json": lambda text: json.dumps(text)[1:-1],
    "json in json": lambda text: json.dumps(json.dumps(text))[3:-3],
    "json escapes": lambda text: "".join(f"\\u{ord(letter):04X}" for letter in text),
    "slashes escaped": lambda text: text.replace("/", "\\/"),
    "bytes escaped": lambda text: "".join(f"\\x{ord(letter):02x}" for letter in text),
    "html": html.escape,
    "html numbers": lambda text: "".join(f"&#{ord(letter)};" for letter in text),
    "html hex numbers": lambda text: "".join(f"&#x{ord(letter):X};" for letter in text),
    "html twice": lambda text: html.escape(html.escape(text)),
    "broken over lines": lambda text: text[:10] + "\r\n  " + text[10:],
    "a line break in json": lambda text: text[:10] + "\\n" + text[10:],
    "soft line break": lambda text: text[:10] + "=\r\n" + text[10:],
    "with spaces": " ".join,
    "with zero-width spaces": "\u200b".join,
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("around", ["{}", "bad key {}!", '{{"auth": "Bearer {}"}}', "ü {} İ", "{0} and {0}"])
def test_a_secret_is_masked_in_every_spelling(spelling: str, around: str) -> None:
    quoted = SPELLINGS[spelling](KEY)
    assert Masker([KEY, TOKEN]).text(around.format(quoted)) == around.format(MASK)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_part_of_a_secret_is_masked_wherever_the_text_was_cut(spelling: str) -> None:
    text = "the vendor refused the key " + SPELLINGS[spelling](KEY)
    masker = Masker([KEY])
    for cut in range(len(text)):
        for ellipsis in ("", "…", "..."):
            shown = masker.text(text[:cut] + ellipsis)
            assert longest_run(shown, KEY) < PART_CHARS


def longest_run(text: str, secret: str) -> int:
    """Length of the longest part of the secret that can be read in the text."""
    text, secret = re.sub(r"\s", "", text).lower(), secret.lower()
    runs = [
        size
        for start in range(len(secret))
        for size in range(1, len(secret) - start + 1)
        if secret[start : start + size] in text
    ]
    return max(runs, default=0)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (KEY[-8:], "***"),
        (f"...{KEY[5:15]}...", "...***..."),
        (KEY + KEY, "***"),
        (KEY + TOKEN, "***"),
        (f"{KEY},{TOKEN}", "***,***"),
        (KEY[:7], KEY[:7]),
        ("no secret: 100 % ü &amp; %20", "no secret: 100 % ü &amp; %20"),
        ("", ""),
    ],
)
def test_parts_of_eight_characters_are_masked_and_shorter_ones_are_not(text: str, shown: str) -> None:
    assert Masker([KEY, TOKEN, ""]).text(text) == shown


def test_a_text_without_a_secret_is_returned_as_the_same_object() -> None:
    text = "no more credits, please top up (code=113)\n"
    assert Masker([KEY]).text(text) is text
    failure = Failure(reason=FailureClass.CREDITS, message=text, native_code="113", suggestion={"a": [1]})
    assert Masker([KEY]).failure(failure) is failure


@pytest.mark.parametrize("secret", ["test", "k"])
def test_a_short_secret_is_masked_only_whole(secret: str) -> None:
    assert Masker([secret]).text(f"key={secret}") == "***ey=***" if secret == "k" else "key=***"
    title = f"a {secret} title"
    assert Masker([secret], whole=True).text(title) is title


def test_in_titles_and_links_only_whole_secrets_are_masked() -> None:
    masker = Masker([KEY], whole=True)
    link = f"https://cdn.test/a%20b.mp3?key={quote(KEY, safe='')}&x=%2F"
    assert masker.text(link) == "https://cdn.test/a%20b.mp3?key=***&x=%2F"
    part = f"https://cdn.test/{KEY[:10]}.mp3"
    assert masker.text(part) is part


def test_every_text_of_a_failure_is_masked() -> None:
    failure = Failure(
        reason=FailureClass.AUTH, message=f"bad {KEY}", native_code=KEY, native_message=f"{KEY[:12]}",
        suggestion={KEY: [{"try": f"{KEY}!"}, 1, None, True]}, retry_after_s=5.0,
    )  # fmt: skip
    assert Masker([KEY]).failure(failure) == Failure(
        reason=FailureClass.AUTH, message="bad ***", native_code="***", native_message="***",
        suggestion={"***": [{"try": "***!"}, 1, None, True]}, retry_after_s=5.0,
    )  # fmt: skip


def test_deeply_nested_json_is_masked_below_a_limit() -> None:
    nested: object = KEY
    for _ in range(5000):
        nested = [nested]
    shown = json.dumps(Masker([KEY]).json(nested))
    assert shown.count("[") == 101
    assert MASK in shown


def test_a_long_text_is_masked() -> None:
    text = "x" * 200_000 + KEY + "y" * 200_000 + KEY[:20]
    assert Masker([KEY]).text(text) == "x" * 200_000 + MASK + "y" * 200_000 + MASK


# No key ends in a backslash: before an escaped line break it could not be told from the escape.
@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=60).filter(
        lambda secret: not secret.endswith("\\")
    ),
    st.text(max_size=60),
    st.text(max_size=60),
    st.sampled_from(sorted(SPELLINGS)),
)
def test_no_secret_survives_in_any_text(secret: str, before: str, after: str, spelling: str) -> None:
    quoted = SPELLINGS[spelling](secret)
    shown = Masker([secret]).text(f"{before} {quoted} {after}")
    assert quoted not in shown


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_one_more_secret_is_masked_like_those_from_the_start(spelling: str, *, whole: bool) -> None:
    one, both = Masker([KEY], whole=whole).and_one(TOKEN), Masker([KEY, TOKEN], whole=whole)
    text = f"{SPELLINGS[spelling](KEY)} and {SPELLINGS[spelling](TOKEN)} and {TOKEN[:9]}"
    assert one.text(text) == both.text(text)
    assert Masker([KEY], whole=whole).and_one("").text(text) == Masker([KEY], whole=whole).text(text)


def test_one_more_secret_does_not_change_the_masker_that_gets_it() -> None:
    first = Masker([KEY])
    first.and_one(TOKEN)
    assert first.text(TOKEN) == TOKEN


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_secret_is_found_in_one_of_many_texts(spelling: str) -> None:
    masker = Masker([KEY, TOKEN], whole=True)
    assert masker.finds_any(["a", SPELLINGS[spelling](KEY), "b%", "&c"])
    assert not masker.finds_any(["a", KEY[:20], "b%", "&c", ""])
    assert not masker.finds_any([])


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_one_more_secret_is_found_in_one_of_many_texts(spelling: str, *, whole: bool) -> None:
    masker = Masker([KEY], whole=whole)
    assert masker.finds_any(["a", SPELLINGS[spelling](TOKEN), "b"], also=TOKEN)
    assert masker.finds_any(["a", SPELLINGS[spelling](KEY), "b"], also=TOKEN)
    assert not masker.finds_any(["a", SPELLINGS[spelling](TOKEN), "b"])
    assert not masker.finds_any(["a", "b"], also=TOKEN)
    assert not masker.finds_any(["a", "b"], also="a" if whole else "")


@pytest.mark.parametrize("next_text", ["", " ", "\r\n", "x", "25", "amp;", "%41"])
@pytest.mark.parametrize("secret", ["base64-secret-not-real==", "ends-in-an-escape%", "ends-in-slash\\"])
def test_a_text_that_follows_does_not_hide_a_secret(secret: str, next_text: str) -> None:
    assert Masker([secret], whole=True).finds_any([secret, next_text])


_MARKS = (
    "%41",
    "\\u0041",
    "\\n",
    "&amp;",
    "=\n",
    "=\r\n",
    " ",
    "\n",
    "\xad",
    "\u200b",
    "\u200c",
    "\u200d",
    "\u2060",
)


@pytest.mark.parametrize("mark", ["", *_MARKS, "\ufeff", "\u00c9"])
@pytest.mark.parametrize("form", ["{}", "aB{}", "{}aB", "aB{}cD"])
def test_quick_preparation_of_a_secret_is_the_thorough_one(form: str, mark: str) -> None:
    secret = form.format(mark)
    assert set(_spellings(secret)) == {secret.lower(), _plain(secret).text}


@pytest.mark.parametrize("mark", ["", *_MARKS, "\ufeff", "=", "=a", "\u00c9"])
def test_text_that_may_have_no_escapes_has_none(mark: str) -> None:
    text = f"a{mark}b"
    assert _may_have_escapes(text) or _plain(text.lower()).text == "".join(text.split()).lower()
