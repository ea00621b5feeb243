"""How a vendor signs its callbacks, as data, with the two functions that follow from it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import attrs

_PART: Final = re.compile(r"\{([a-z_]+)\}")


class SignatureEncoding(StrEnum):
    """How the bytes of a signature are written into its header."""

    HEX = "hex"
    BASE64 = "base64"


@attrs.frozen(kw_only=True)
class CallbackSignature:
    """An HMAC over the body of a callback, or over named parts of it.

    Attributes:
        header: where the signature is.
        signed: what is signed: ``{body}``, ``{timestamp}`` and ``{native_id}`` among other characters.
        timestamp_header: where the time of the signature is, in epoch seconds; None = it has none.
        window_s: age at which a signature expires.
        prefix: what precedes the signature in its header, e.g. ``sha256=``.
        digest: name of the hash in `hashlib`.
    """

    header: str
    signed: str = "{body}"
    encoding: SignatureEncoding = SignatureEncoding.HEX
    timestamp_header: str | None = None
    window_s: float = 300.0
    prefix: str = ""
    digest: str = "sha256"

    def sign(self, secret: str, *, body: bytes, native_id: str = "", timestamp: str = "") -> str:
        """The value of the header, for an emulator and for the comparison."""
        parts = {"body": body, "native_id": _bytes(native_id), "timestamp": _bytes(timestamp)}
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
        signature = headers.get(self.header.lower(), "").strip()
        timestamp = headers.get(self.timestamp_header.lower(), "").strip() if self.timestamp_header else ""
        if not signature or (self.timestamp_header and not re.fullmatch(r"[0-9]{1,12}", timestamp)):
            return "the callback is not signed"
        if timestamp and abs(now - int(timestamp)) > self.window_s:
            return "the signature is too old or from the future"
        expected = self.sign(secret, body=body, native_id=native_id or "", timestamp=timestamp)
        given = signature.lower() if self.encoding is SignatureEncoding.HEX else signature
        return (
            None if hmac.compare_digest(_bytes(expected), _bytes(given)) else "the signature does not match"
        )

    def contradiction(self) -> str | None:
        """How the declaration contradicts itself, or None."""
        known = {"body", "native_id", "timestamp"}
        named = set(_PART.findall(self.signed))
        if not named & {"body", "native_id"}:
            return f"signs {self.signed!r}, which holds neither {{body}} nor {{native_id}}"
        if named - known:
            return f"signs {{{min(named - known)}}}; there are {', '.join(sorted(known))}"
        if ("timestamp" in named) != (self.timestamp_header is not None):
            return "a timestamp needs both its header and its place in what is signed"
        if self.digest not in hashlib.algorithms_guaranteed:
            return f"has the digest {self.digest!r}, which hashlib does not have"
        return None if self.window_s > 0 else f"has a window of {self.window_s} s"


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
