"""The file name that a download gets from a title: safe on every system, and as RFC 6266 says."""

from urllib.parse import unquote

import pytest

from musicgate.web.kept_files import content_disposition

HOSTILE = [
    ("Midnight Blue", "Midnight Blue"),
    ('He said "no"; filename=x.exe', "He said no ; filename=x.exe"),
    ("two\r\nSet-Cookie: a=b\nlines", "two Set-Cookie a=b lines"),
    ("../../etc/passwd", "etc passwd"),
    ("C:\\songs\\a|b<c>d*e?f", "C songs a b c d e f"),
    ("\u202egnp.elif\u200f", "gnp.elif"),
    ("Ночь \U0001f319 夜", "Ночь \U0001f319 夜"),
    ("lone \ud800 half", "lone half"),
    ("100% \x00\x7f\x1b[31m", "100% [31m"),
    ("é" * 500, "é" * 60),
    ("\U0001f3b5" * 500, "\U0001f3b5" * 60),
    (" . ", None),
    ("///", None),
    ("", None),
    (None, None),
]


@pytest.mark.parametrize(("title", "name"), HOSTILE, ids=[repr(title)[:30] for title, _ in HOSTILE])
def test_file_name_is_safe_and_keeps_the_title(title: str | None, name: str | None) -> None:
    header = content_disposition("attachment", title, "music_1-0", "flac")
    assert header.isascii()
    assert header.isprintable()
    plain, _, rest = header.partition("; filename*=UTF-8''")
    assert plain == 'attachment; filename="music_1-0.flac"'
    assert unquote(rest) == (f"{name}.flac" if name else "")
    assert not set(rest) & set(" \"';,")
    assert len(unquote(rest).encode()) <= 255
