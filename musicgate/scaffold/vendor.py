"""What an author says about a vendor before the draft is written; a fault names its option."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Self
from urllib.parse import urlsplit

import attrs

_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9-]*")


class Kind(StrEnum):
    """How the vendor delivers."""

    #: A create call, then polls (and callbacks) until the song is done.
    POLLING = "polling"
    #: One call that lasts as long as the song.
    BLOCKING = "blocking"


class Callback(StrEnum):
    """Whether the vendor calls back, and what its signature covers."""

    NONE = "none"
    UNSIGNED = "unsigned"
    #: HMAC-SHA256 over the body, in hexadecimal digits.
    HMAC_BODY = "hmac-body"
    #: HMAC-SHA256 over the song's id and the time, in base64.
    HMAC_PARTS = "hmac-parts"


@attrs.frozen(kw_only=True)
class Vendor:
    """The traits of a vendor that shape its draft.

    Attributes:
        models: the vendor's own names; the public id of each is ``<provider>/<name>`` in lower case.
        auth_header: that carries the key.
        auth_scheme: word before the key; empty = the bare key.
        base_url: without a trailing slash; None = an invented one.
    """

    kind: Kind = Kind.POLLING
    models: tuple[str, ...] = ("v1",)
    auth_header: str = "Authorization"
    auth_scheme: str = "Bearer"
    base_url: str | None = None
    callback: Callback = Callback.NONE
    cancel: bool = False

    @classmethod
    def of(
        cls,
        *,
        kind: Kind = Kind.POLLING,
        models: Sequence[str] = ("v1",),
        auth_header: str = "Authorization: Bearer",
        base_url: str | None = None,
        callback: Callback = Callback.NONE,
        cancel: bool = False,
    ) -> Self:
        """Check what the command line says.

        Args:
            kind: how the vendor delivers.
            models: the vendor's own names.
            auth_header: ``X-Key`` for the bare key, ``Authorization: Token`` for one behind a word.
            base_url: None = an invented one.
            callback: whether it calls back.
            cancel: whether a song can be stopped.

        Raises:
            ValueError: a value that cannot be; the message begins with the name of its option.
        """
        header, colon, scheme = (part.strip() for part in auth_header.partition(":"))
        fault = (
            _models_fault(models)
            or _auth_fault(header, scheme, has_colon=bool(colon))
            or _url_fault(base_url)
            or _kind_fault(kind, callback, cancel=cancel)
        )
        if fault is not None:
            raise ValueError(fault)
        return cls(
            kind=kind,
            models=tuple(models),
            auth_header=header,
            auth_scheme=scheme,
            base_url=base_url,
            callback=callback,
            cancel=cancel,
        )


def _models_fault(models: Sequence[str]) -> str | None:
    seen: set[str] = set()
    for model in models:
        if not _MODEL.fullmatch(model):
            allowed = "letters, digits, dots, dashes, plus signs and underscores, a letter or digit first"
            return f"--models: {model!r} is no model name: {allowed}; separate several by commas"
        if model.lower() in seen:
            return f"--models: {model!r} is there twice; public ids do not differ by case"
        seen.add(model.lower())
    return None if models else "--models: names no model"


def _auth_fault(header: str, scheme: str, *, has_colon: bool) -> str | None:
    if _HEADER.fullmatch(header) and (_SCHEME.fullmatch(scheme) or not has_colon):
        return None
    form = "X-Key for the bare key, or 'Authorization: Token' for one behind a word"
    return f"--auth-header: {header!r} is no header name: write {form}"


def _url_fault(base_url: str | None) -> str | None:
    if base_url is None:
        return None
    parts = urlsplit(base_url)
    good = parts.scheme == "https" and parts.netloc and not (parts.query or parts.fragment)
    if not good or base_url.endswith("/") or re.search(r"[\s\"\\]", base_url):
        return f"--base-url: {base_url!r} is no https address without a trailing slash"
    return None


def _kind_fault(kind: Kind, callback: Callback, *, cancel: bool) -> str | None:
    if kind is Kind.POLLING:
        return None
    if callback is not Callback.NONE:
        return "--callback: a call that lasts as long as the song is its own notice; leave out --blocking"
    if cancel:
        return "--cancel: a call that lasts as long as the song has no id to stop it by; leave out --blocking"
    return None
