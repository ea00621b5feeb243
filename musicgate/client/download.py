"""Downloads audio: continues after a cut, and checks length and digest. It knows no job.

A download that was cut goes on with ``Range`` where the server says what it serves (``ETag``), and begins
again where it does not, or where that has changed.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from typing import IO, TYPE_CHECKING, Final

import attrs

from musicgate.aio import run_to_end
from musicgate.client.retries import FailedTryError
from musicgate.errors import ServerError

if TYPE_CHECKING:
    import aiohttp

    from musicgate.client.calls import Call, Calls

#: Larger than any track of a musicgate.
MAX_AUDIO_BYTES: Final = 1 << 30
#: Size of each write to the disk, on a thread.
_PIECE_BYTES: Final = 1 << 20
_RANGE: Final = re.compile(r"bytes ([0-9]{1,15})-[0-9]{1,15}/([0-9]{1,15})")
#: The strong entity tag of a musicgate is the SHA-256 of the file; a store of objects has others.
_DIGEST_TAG: Final = re.compile(r'"([0-9a-f]{64})"')
_PARTIAL: Final = 206


class Download:
    """One download into an open file.

    Attributes:
        content_type: of the audio, as the server says; "" until it has answered.
        size_bytes: of the whole, as the server says; None = it has not said.
    """

    def __init__(
        self,
        calls: Calls,
        call: Call,
        file: IO[bytes],
        *,
        sha256: str | None,
        max_bytes: int = MAX_AUDIO_BYTES,
    ) -> None:
        """Prepare it.

        Args:
            call: of the route of the audio, without a range.
            file: open for writing at its beginning.
            sha256: of the whole, where it is known; else the server's entity tag may say it.
            max_bytes: larger audio is refused (``too_large``), before it is read if the server says its size.
        """
        self.content_type = ""
        self.size_bytes: int | None = None
        self._max_bytes = max_bytes
        self._calls = calls
        self._call = call
        self._file = file
        self._expected = sha256
        self._digest = hashlib.sha256()
        self._done_bytes = 0
        self._tag: str | None = None

    async def run(self, timeout_s: float) -> None:
        """Download to the end.

        Raises:
            MusicgateError: the server has no such audio, or it did not come in time, whole and unchanged.
        """
        try:
            async with asyncio.timeout(timeout_s):
                await self._run()
        except TimeoutError:
            message = f"the audio has not come within {timeout_s:g} s"
            raise ServerError("no_answer", message) from None
        if not self._done_bytes:
            raise ServerError("damaged", "the audio is empty")
        if self._expected is not None and self._digest.hexdigest() != self._expected:
            message = "the audio was damaged on its way: it has another SHA-256 than the server says"
            raise ServerError("damaged", message)

    async def _run(self) -> None:
        retries = self._calls.retries()
        while True:
            before = self._done_bytes
            try:
                await self._try()
            except FailedTryError as failed:
                if self._done_bytes > before:
                    retries.note_progress()
                await retries.wait_after(failed)
            else:
                return

    async def _try(self) -> None:
        headers = {"Accept-Encoding": "identity"}  # so that lengths are those of the file
        if self._done_bytes and self._tag is not None:
            headers |= {"Range": f"bytes={self._done_bytes}-", "If-Range": self._tag}
        call = attrs.evolve(self._call, headers=headers)
        async with self._calls.opened(call) as response:
            if not self._continues(response):
                await self._begin_again(response)
            piece = bytearray()
            try:
                async for chunk in self._calls.pieces(call, response):
                    piece += chunk
                    if len(piece) >= _PIECE_BYTES:
                        await self._write(piece)
                        piece = bytearray()
            finally:  # what came before a cut counts, too
                await self._write(piece)

    def _continues(self, response: aiohttp.ClientResponse) -> bool:
        """True if the body begins where the file ends."""
        found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
        return (
            response.status == _PARTIAL
            and found is not None
            and int(found[1]) == self._done_bytes
            and response.headers.get("ETag") == self._tag
        )

    async def _begin_again(self, response: aiohttp.ClientResponse) -> None:
        if response.status == _PARTIAL:
            raise FailedTryError(ServerError("damaged", "the server answers with another part of the audio"))
        self.content_type, self.size_bytes = response.content_type, response.content_length
        if (response.content_length or 0) > self._max_bytes:
            raise _too_large()
        self._digest, self._done_bytes = hashlib.sha256(), 0
        await run_to_end(self._file.seek, 0)
        await run_to_end(self._file.truncate)
        tag = response.headers.get("ETag", "")
        # A weak tag does not say that the bytes are the same.
        self._tag = tag if tag.startswith('"') else None
        found = _DIGEST_TAG.fullmatch(tag)
        if found is not None and self._calls.is_own(response):
            self._expected = self._expected or found[1]

    async def _write(self, piece: bytearray) -> None:
        self._done_bytes += len(piece)
        if self._done_bytes > self._max_bytes:
            raise _too_large()
        self._digest.update(piece)
        await run_to_end(self._file.write, piece)


def _too_large() -> FailedTryError:
    return FailedTryError(ServerError("too_large", "the audio is too large"), is_lasting=True)
