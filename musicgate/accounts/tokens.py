"""The form of a key: ``mg_<id>_<secret>``. The id may be shown, the secret is told once."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from musicgate.model import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

#: Crockford's base32, in small letters: none looks like another. Source: crockford.com/base32.html.
_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_ID_CHARS: Final = 16
_SECRET_BYTES: Final = 32
_FORM: Final = re.compile(rf"mg_([{_ALPHABET}]{{{_ID_CHARS}}})_[A-Za-z0-9_-]{{43}}")


class NewKey(NamedTuple):
    """A key that was just made: the only place where it is whole."""

    id: str
    key: Secret


def make_key(random_bytes: Callable[[int], bytes]) -> NewKey:
    """Make a key.

    Args:
        random_bytes: returns so many random bytes that cannot be guessed.
    """
    key_id = "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in random_bytes(_ID_CHARS))
    secret = base64.urlsafe_b64encode(random_bytes(_SECRET_BYTES)).rstrip(b"=").decode()
    return NewKey(key_id, Secret(f"mg_{key_id}_{secret}"))


def id_of(key: str) -> str | None:
    """The id in a key; None for a text that cannot be one of ours."""
    found = _FORM.fullmatch(key)
    return None if found is None else found[1]


def digest_of(key: str) -> bytes:
    """SHA-256 of a key, by which it is found.

    A plain digest is enough: the secret is 32 random bytes, which cannot be tried out.
    """
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
