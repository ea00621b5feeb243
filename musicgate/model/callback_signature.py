"""How a vendor signs its callbacks, as data, with the two functions that follow from it."""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

import attrs

from musicgate.model.json_types import JsonValue

_PART: Final = re.compile(r"\{([a-z_0-9]+)\}")


class SignatureEncoding(StrEnum):
    """How the bytes of a signature are written into its header."""

    HEX = "hex"
    BASE64 = "base64"


@attrs.frozen(kw_only=True)
class CallbackSignature:
    """An HMAC over the body of a callback, or over named parts of it.

    Attributes:
        header: where the signature is.
        signed: what is signed: ``{body}`` or ``{body_sha256}`` (in hexadecimal digits), ``{timestamp}`` and
            ``{native_id}`` among other characters.
        encoding: how its bytes are written.
        timestamp_header: where the time of the signature is; None = it has none, or is in the same header.
        window_s: age at which a signature expires.
        prefix: what precedes the signature in its header, e.g. ``sha256=``.
        form: of the header, where it carries the time as well: ``t={timestamp},v1={signature}``.
        iso_time: the time is written in ISO 8601, not in epoch seconds.
        digest: name of the hash in `hashlib`.
        unless: settings of the plugin and values, any of which means that callbacks are not signed: another
            seller, for example.
    """

    header: str
    signed: str = "{body}"
    encoding: SignatureEncoding = SignatureEncoding.HEX
    timestamp_header: str | None = None
    window_s: float = 300.0
    prefix: str = ""
    digest: str = "sha256"
    form: str = "{signature}"
    iso_time: bool = False
    unless: Mapping[str, JsonValue] = attrs.field(factory=dict)

    def is_due(self, options: Mapping[str, JsonValue]) -> bool:
        """True if the vendor signs its callbacks under these settings of the plugin."""
        return not any(options.get(name) == value for name, value in self.unless.items())

    def sign(self, secret: str, *, body: bytes, native_id: str = "", timestamp: str = "") -> str:
        """The value of the header, for an emulator.

        Args:
            timestamp: as the vendor writes it; see `written`.
        """
        signature = self._signature(secret, body, native_id, timestamp)
        return self.form.replace("{timestamp}", timestamp).replace("{signature}", signature)

    def written(self, at_s: int) -> str:
        """A time in epoch seconds as the vendor writes it."""
        return (
            datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if self.iso_time else str(at_s)
        )

    def _signature(self, secret: str, body: bytes, native_id: str, timestamp: str) -> str:
        parts = {
            "body": body,
            "body_sha256": hashlib.sha256(body).hexdigest().encode() if "sha256}" in self.signed else b"",
            "native_id": _bytes(native_id),
            "timestamp": _bytes(timestamp),
        }
        message = b"".join(
            parts[piece] if index % 2 else _bytes(piece)
            for index, piece in enumerate(_PART.split(self.signed))
        )
        raw = hmac.new(_bytes(secret), message, self.digest).digest()
        text = raw.hex() if self.encoding is SignatureEncoding.HEX else base64.b64encode(raw).decode("ascii")
        return self.prefix + text

    def fault(
        self, secret: str, headers: Mapping[str, str], *, body: bytes, native_id: str | None, now: float
    ) -> str | None:
        """Why a callback is not signed by the vendor; None if it is.

        Args:
            headers: with lower-case names.
            native_id: the task that the callback names.
            now: epoch seconds.
        """
        given = _pattern(self.form).fullmatch(headers.get(self.header.lower(), "").strip())
        named = given.groupdict() if given else {}
        signature, timestamp = named.get("signature", ""), named.get("timestamp", "")
        if self.timestamp_header:
            timestamp = headers.get(self.timestamp_header.lower(), "").strip()
        signed_at_s = self._read_time(timestamp) if self._is_dated else now
        if not signature or signed_at_s is None:
            return "the callback is not signed"
        if abs(now - signed_at_s) > self.window_s:
            return "the signature is too old or from the future"
        expected = self._signature(secret, body, native_id or "", timestamp)
        claimed = signature.lower() if self.encoding is SignatureEncoding.HEX else signature
        matches = hmac.compare_digest(_bytes(expected), _bytes(claimed))
        return None if matches else "the signature does not match"

    @property
    def _is_dated(self) -> bool:
        return self.timestamp_header is not None or "{timestamp}" in self.form

    def _read_time(self, text: str) -> float | None:
        if not self.iso_time:
            return int(text) if re.fullmatch(r"[0-9]{1,12}", text) else None
        try:
            moment = datetime.fromisoformat(text)
        except (ValueError, OverflowError):
            return None
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()

    def contradiction(self) -> str | None:
        """How the declaration contradicts itself, or None."""
        known = {"body", "body_sha256", "native_id", "timestamp"}
        named = set(_PART.findall(self.signed))
        if not named & {"body", "body_sha256", "native_id"}:
            return f"signs {self.signed!r}, which holds neither {{body}} nor {{native_id}}"
        if named - known:
            return f"signs {{{min(named - known)}}}; there are {', '.join(sorted(known))}"
        if ("timestamp" in named) != self._is_dated:
            return "a timestamp needs both its header and its place in what is signed"
        if self.form.count("{signature}") != 1 or self.form.count("{timestamp}") > 1:
            return f"has the header {self.form!r}, which needs {{signature}} once, and {{timestamp}} at most once"
        if self.digest not in hashlib.algorithms_guaranteed:
            return f"has the digest {self.digest!r}, which hashlib does not have"
        return None if self.window_s > 0 else f"has a window of {self.window_s} s"


@functools.lru_cache(maxsize=64)
def _pattern(form: str) -> re.Pattern[str]:
    """What a header of that form looks like, its parts by name."""
    signature, timestamp = re.escape("{signature}"), re.escape("{timestamp}")
    escaped = re.escape(form).replace(signature, "(?P<signature>.+)")
    return re.compile(escaped.replace(timestamp, r"(?P<timestamp>[^\s;,]+)"))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
