"""The one place where a client sends a request: connections, tries, and what a failure means.

It knows HTTP and the envelope of an error, and must not know what a route answers.
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import attrs
from yarl import URL

from musicgate.client.retries import RETRYABLE, STRANGER_S, FailedTryError, Retries
from musicgate.client.server import look_at
from musicgate.errors import ProviderError, RequestError, ServerError, UnauthorisedError
from musicgate.http import CLIENT_ERRORS, CONNECT_ERRORS, Proxies, answer_reason, connect_reason, exact_url
from musicgate.plugin import lenient
from musicgate.views import read_error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from musicgate.client.server import Server
    from musicgate.errors import MusicgateError

_CONNECT_S: Final = 10.0
#: How long an answer may take beside the time that the server was asked to hold it.
_ANSWER_S: Final = 120.0
#: Larger than any answer of a musicgate in JSON.
_MAX_ANSWER_BYTES: Final = 16_777_216
_MASK: Final = b"***"
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS: Final = 5
#: ``X509_V_ERR_HOSTNAME_MISMATCH`` and ``..._IP_ADDRESS_MISMATCH`` of OpenSSL.
_OTHER_HOST: Final = frozenset({62, 64})
_TOO_MANY: Final = 429
_FAILED: Final = 500
_MAX_DIGITS: Final = 7


@attrs.frozen(kw_only=True)
class Call:
    """One call of a route.

    Attributes:
        path: below the URL of the server, quoted.
        repeats: it may be made again although it may have arrived.
        idempotency_key: of a create call.
        makes: what may be there although no answer came, such as "a job"; None = nothing new.
        hold_s: how long the server was asked to hold the answer.
        stall_s: how long an answer that is read in pieces may pause; None = the whole of it has a limit.
        follows: redirects are followed, without the key where they lead to another host.
    """

    method: str = "GET"
    path: str
    query: Mapping[str, str] = attrs.field(factory=dict)
    headers: Mapping[str, str] = attrs.field(factory=dict)
    body: bytes | None = None
    repeats: bool = True
    idempotency_key: str | None = None
    makes: str | None = None
    hold_s: float = 0.0
    stall_s: float | None = None
    follows: bool = False

    @property
    def timeout(self) -> aiohttp.ClientTimeout:
        """The limits of one try."""
        total_s = _ANSWER_S + self.hold_s if self.stall_s is None else None
        return aiohttp.ClientTimeout(total=total_s, sock_connect=_CONNECT_S, sock_read=self.stall_s)


@attrs.frozen(kw_only=True)
class Answer:
    """An answer in JSON; without a body it is an empty object."""

    status: int
    headers: Mapping[str, str]
    body: Mapping[str, Any]

    @property
    def retry_after_s(self) -> float | None:
        """Seconds of its ``Retry-After``."""
        return retry_after_s(self.headers)


class Calls:
    """Makes calls to one server, over connections that are kept."""

    def __init__(self, server: Server, *, retry_s: float) -> None:
        self.server = server
        self._retry_s = retry_s
        self._session: aiohttp.ClientSession | None = None
        self._proxies = Proxies.from_settings("", os.environ)
        self._is_closed = False
        self._has_answered = False

    async def close(self) -> None:
        """Close the connections. No call can be made any more."""
        self._is_closed = True
        if self._session is not None:
            await self._session.close()

    def retries(self, limit_s: float | None = None) -> Retries:
        """The tries of a call; ``limit_s`` is None for the limit of this client."""
        stranger_s = None if self._has_answered else STRANGER_S
        return Retries(self._retry_s if limit_s is None else limit_s, stranger_s=stranger_s)

    async def send(self, call: Call, retries: Retries | None = None) -> Answer:
        """Make a call as often as is harmless and useful, and return its answer.

        The answer of a create call that names a job is returned whatever its status.

        Raises:
            MusicgateError: it failed, or the server refused it.
        """
        retries = self.retries() if retries is None else retries
        while True:
            try:
                return await self.try_once(call)
            except FailedTryError as failed:
                await retries.wait_after(failed)

    async def try_to_hold(self, call: Call) -> Answer | None:
        """Make a call that asks the server to hold its answer; None = that fails, and polling may succeed.

        Raises:
            MusicgateError: the server refused it.
        """
        try:
            return await self.try_once(call)
        except FailedTryError as failed:
            if failed.is_lasting:
                raise failed.error from failed.__cause__
            return None

    async def try_once(self, call: Call) -> Answer:
        """Make a call once.

        Raises:
            FailedTryError: it failed, or the server refused it.
        """
        async with self._followed(call) as response:
            body = await self._parsed(call, response)
            # A create call that failed after its job was stored: what became of it is in the job.
            is_job = call.idempotency_key is not None and isinstance(body.get("music_id"), str)
            if not (_is_success(response) or is_job):
                raise self._refusal(call, response, body)
            return Answer(status=response.status, headers=response.headers, body=body)

    @asynccontextmanager
    async def opened(self, call: Call) -> AsyncIterator[aiohttp.ClientResponse]:
        """Open the answer of a call whose body is not JSON; `pieces` reads it.

        Raises:
            FailedTryError: there was no answer, or one that is not a success.
        """
        async with self._followed(call) as response:
            if not _is_success(response):
                raise self._refusal(call, response, await self._parsed(call, response))
            yield response

    async def pieces(self, call: Call, response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        """Yield the body of an open answer as it comes.

        Raises:
            FailedTryError: it was cut, or stalls.
        """
        chunks = response.content.iter_any()
        while True:
            try:
                piece = await anext(chunks, b"")
            except CLIENT_ERRORS as exc:
                raise self._cut(call, exc) from exc
            if not piece:
                return
            yield piece

    def is_own(self, response: aiohttp.ClientResponse) -> bool:
        """True if an answer comes from the server itself, and not from where it redirects to."""
        return response.url.origin() == self.server.url.origin()

    @asynccontextmanager
    async def _requested(self, call: Call, url: URL) -> AsyncIterator[aiohttp.ClientResponse]:
        if self._is_closed:
            raise RuntimeError("the client is closed")
        if self._session is None:
            # No cookies: they would be the only state between calls.
            self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
            # aiohttp would send idempotent requests again by itself, unseen: a DELETE then ends with a 404.
            # There is no public switch; its own test client uses this one.
            self._session._retry_connection = False  # noqa: SLF001
        headers = {**call.headers}
        if self.server.key is not None and url.origin() == self.server.url.origin():
            headers["Authorization"] = f"Bearer {self.server.key.reveal()}"
        if call.body is not None:
            headers["Content-Type"] = "application/json"
        try:
            response = await self._session.request(
                call.method,
                url,
                data=call.body,
                headers=headers,
                proxy=self._proxies.for_url(url),
                ssl=True if self.server.tls is None else self.server.tls,
                timeout=call.timeout,
                allow_redirects=False,
            )
        except CLIENT_ERRORS as exc:
            raise self._no_answer(call, exc) from exc
        async with response:
            yield response

    @asynccontextmanager
    async def _followed(self, call: Call) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a call, and follow redirects where it says so."""
        url = URL(f"{self.server.url}{call.path}", encoded=True).update_query(call.query)
        for _ in range(_MOST_REDIRECTS + 1):
            async with self._requested(call, url) as response:
                self._has_answered = True
                target = response.headers.get("Location")
                if call.follows and response.status in _REDIRECTS and target:
                    url = self._redirected(call, url, target)
                    continue
                yield response
                return
        raise self.stranger(call, "redirects without end")

    def _redirected(self, call: Call, url: URL, target: str) -> URL:
        try:
            there = url.join(exact_url(target))
        except ValueError:
            there = URL()
        if there.scheme not in {"http", "https"} or not there.host:
            raise self.stranger(call, "redirects to what is no web address")
        return there

    async def _parsed(self, call: Call, response: aiohttp.ClientResponse) -> Mapping[str, Any]:
        """The JSON object of an answer, without our key should the server quote it."""
        text = bytearray()
        async for piece in self.pieces(call, response):
            text += piece
            if len(text) > _MAX_ANSWER_BYTES:
                raise self.stranger(call, "gives an answer that is too large", response)
        if self.server.key is not None:
            text = text.replace(self.server.key.reveal().encode("latin-1"), _MASK)
        body: Any = lenient.json_text(text.decode("utf-8", "replace")) if text else {}
        if isinstance(body, dict):
            return body
        what = "without JSON" if body is None else "with JSON that is not an object"
        raise self.stranger(call, f"answers HTTP {response.status} {what}", response)

    def _refusal(
        self, call: Call, response: aiohttp.ClientResponse, body: Mapping[str, Any]
    ) -> FailedTryError:
        """The failure of an answer that is not a success."""
        status = response.status
        if not self.is_own(response):
            message = f"{response.url.host}, where the server redirects to, answers HTTP {status}"
            return FailedTryError(self._error(call, "link_failed", message, status=status), is_lasting=True)
        answer = Answer(status=status, headers=response.headers, body=body)
        error = _error_in(answer)
        if error is None:
            return self.stranger(call, _other_error(answer), response)
        if isinstance(error, RequestError) and error.code == "unauthorised":
            error = self._wrong_key(error)
        if isinstance(error, ServerError):
            error.idempotency_key = call.idempotency_key
            error.maybe_stored = call.idempotency_key is not None and status == _FAILED
        may_repeat = call.repeats or status == _TOO_MANY
        # What a vendor answered stays so, unless it was busy; a missing key only the operator can mend.
        is_lasting = isinstance(error, ProviderError) and not error.retryable
        return FailedTryError(error, is_lasting=is_lasting or status not in RETRYABLE or not may_repeat)

    def _wrong_key(self, refused: RequestError) -> UnauthorisedError:
        key = "wants an API key" if self.server.key is None else "does not accept the API key"
        message = f"{self.server.name} {key}: {refused.message}; look at {look_at('api_key')}"
        error = UnauthorisedError(refused.reason or refused.code, message)
        error.http_status = refused.http_status  # 403: it works, and may not do this
        error.answer = refused.answer
        for note in getattr(refused, "__notes__", ()):
            error.add_note(note)
        return error

    def error_of(self, call: Call, answer: Answer) -> MusicgateError:
        """The error of an answer to a create call whose job was refused."""
        return _error_in(answer) or self.stranger(call, _other_error(answer)).error

    def stranger(
        self, call: Call, what: str, response: aiohttp.ClientResponse | None = None
    ) -> FailedTryError:
        """The failure of an answer that is not a musicgate's: a proxy before it, or another server.

        Args:
            response: the answer, where it has a status of its own.
        """
        message = f"{self.server.name} {what}; look at {look_at('url')}"
        error = self._error(call, "not_musicgate", message, setting="url")
        if response is not None:
            error.status, error.retry_after_s = response.status, retry_after_s(response.headers)
        return FailedTryError(error, is_lasting=error.status not in RETRYABLE or not call.repeats)

    def _no_answer(self, call: Call, exc: Exception) -> FailedTryError:
        """The failure of a request without an answer."""
        if isinstance(exc, aiohttp.ClientConnectorCertificateError):
            return FailedTryError(self._wrong_certificate(call, exc), is_lasting=True)
        if isinstance(exc, (*CONNECT_ERRORS, aiohttp.ConnectionTimeoutError, ValueError)):
            reason = connect_reason(exc, _CONNECT_S)
            if isinstance(exc, aiohttp.ClientSSLError):
                reason = "it does not speak TLS; does the URL have to begin with http://?"
            message = f"{self.server.name} cannot be reached: {reason}; look at {look_at('url')}"
            error = self._error(call, "unreachable", message, setting="url", is_sent=False)
            is_lasting = isinstance(exc, aiohttp.ClientSSLError | ValueError)
            return FailedTryError(error, is_lasting=is_lasting, no_server=True)
        if isinstance(exc, aiohttp.ClientResponseError):
            return self.stranger(call, "does not answer in HTTP")
        return self._cut(call, exc)

    def _wrong_certificate(self, call: Call, exc: aiohttp.ClientConnectorCertificateError) -> ServerError:
        cause = exc.certificate_error
        code, said = getattr(cause, "verify_code", None), getattr(cause, "verify_message", "") or "not valid"
        setting, mend = "ca_file", f"set {look_at('ca_file')} to the certificate of its authority"
        if code in _OTHER_HOST:
            setting, mend = "url", f"look at {look_at('url')}"
        message = f"the certificate of {self.server.name} is not trusted: {said}; {mend}"
        return self._error(call, "certificate_not_trusted", message, setting=setting, is_sent=False)

    def _cut(self, call: Call, exc: Exception) -> FailedTryError:
        """The failure of an answer that did not come, or not to its end."""
        reason = "the answer took too long" if isinstance(exc, TimeoutError) else answer_reason(exc)
        message, setting = f"{self.server.name} does not answer: {reason}", None
        if not self._has_answered:  # never yet: perhaps it is TLS that is spoken there
            message, setting = f"{message}; look at {look_at('url')}", "url"
        error = self._error(call, "no_answer", message, setting=setting)
        return FailedTryError(error, is_lasting=not call.repeats)

    def _error(
        self,
        call: Call,
        reason: str,
        message: str,
        *,
        setting: str | None = None,
        status: int | None = None,
        is_sent: bool = True,
    ) -> ServerError:
        if is_sent and call.makes is not None:
            message = f"{message}; it is not known whether {call.makes} was created"
        return ServerError(
            reason,
            message,
            setting=setting,
            status=status,
            maybe_stored=is_sent and call.idempotency_key is not None,
            idempotency_key=call.idempotency_key,
        )


def _is_success(response: aiohttp.ClientResponse) -> bool:
    return 200 <= response.status < 300


def _error_in(answer: Answer) -> MusicgateError | None:
    """The error that an answer shows; None = it is not the envelope of one."""
    error = read_error(answer.status, answer.body, retry_after_s=answer.retry_after_s)
    if error is not None:
        error.answer = answer.body
    return error


def _other_error(answer: Answer) -> str:
    return f"answers HTTP {answer.status}, and not as a musicgate does"


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds of ``Retry-After``; a date, which only a proxy sends, counts as nothing."""
    text = headers.get("Retry-After", "").strip()
    return float(text) if text.isascii() and text.isdecimal() and len(text) < _MAX_DIGITS else None
