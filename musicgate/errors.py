"""Every exception that musicgate raises, as one tree; it knows no HTTP library and no vendor.

MusicgateError
├── ConfigError              a setting is wrong; names the key and where it came from
├── PluginError              a plugin broke its contract; names the plugin
├── RequestError             the caller can fix it
│   ├── InvalidRequestError      the body breaks the schema; carries every violation
│   ├── UnsupportedOptionError   an option that the chosen provider cannot be told
│   ├── UnauthorisedError        no key, or a key we do not know
│   ├── LimitReachedError        the account may not have one more, yet
│   └── JobNotFoundError         no such job in the caller's account
├── ProviderError            a vendor failed, or cannot be understood
│   └── JobFailedError           a job that was waited for has failed; carries the job
├── JobTimeoutError          a job is not finished in the time given; it goes on, and the error carries its id
├── GatewayClosedError       the gateway closes, or is closed; the job stays stored and goes on when it opens again
└── StorageError             our own store or disk failed
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from musicgate.model import Failure, Job, JsonValue


@attrs.frozen(kw_only=True)
class Violation:
    """One place where a body breaks the schema.

    Attributes:
        path: keys and indexes from the root to the place.
        keyword: the JSON Schema keyword that is broken (``type``, ``required``, ...).
        code: the contract's coarse word for it (``invalid_type``, ``too_small``, ...).
        params: the keyword's own value, e.g. ``{"maximum": 1}``.
    """

    path: tuple[str | int, ...]
    message: str
    keyword: str
    code: str
    params: Mapping[str, JsonValue] = attrs.field(factory=dict)


class MusicgateError(Exception):
    """Base of all errors that musicgate raises on purpose."""


class ConfigError(MusicgateError):
    """A setting is wrong. ``key`` is its dotted name, ``source`` the file or environment variable it came from."""

    def __init__(self, message: str, *, key: str | None = None, source: str | None = None) -> None:
        """Keep where the wrong setting stands."""
        where = " in ".join(part for part in (key, source) if part)
        super().__init__(f"{where}: {message}" if where else message)
        self.key = key
        self.source = source


class PluginError(MusicgateError):
    """A plugin could not be loaded, or broke its contract."""

    def __init__(self, plugin: str, message: str) -> None:
        """Keep which plugin it was."""
        super().__init__(f"plugin {plugin}: {message}")
        self.plugin = plugin


class RequestError(MusicgateError):
    """The caller can fix it.

    Attributes:
        code: the contract's error code (``validation_error``, ``not_supported``, ...).
        reason: its token, or None.
        path: the option it is about, or ``()``.
        status: HTTP status, where it is not the code's usual one.
        retry_after_s: seconds until the same call makes sense, where known.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        reason: str | None = None,
        path: Sequence[str | int] = (),
        status: int | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        """Keep the contract's words beside the message."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.reason = reason
        self.path = tuple(path)
        self.status = status
        self.retry_after_s = retry_after_s


class InvalidRequestError(RequestError):
    """The body breaks the schema.

    Attributes:
        violations: the first ones, in schema order.
        left_out: how many more were found.
        is_counted: False where even more were left uncounted.
    """

    def __init__(
        self, violations: Sequence[Violation], *, left_out: int = 0, is_counted: bool = True
    ) -> None:
        """Summarise the first violation as the message."""
        first = violations[0]
        dotted = ".".join(str(part) for part in first.path)
        super().__init__(
            "validation_error", f"{first.message} at {dotted}" if dotted else first.message, path=first.path
        )
        self.violations = tuple(violations)
        self.left_out = left_out
        self.is_counted = is_counted


class UnsupportedOptionError(RequestError):
    """The chosen provider cannot be told this option."""

    def __init__(self, path: Sequence[str | int], message: str) -> None:
        """Name the option by its path."""
        dotted = ".".join(str(part) for part in path)
        super().__init__("not_supported", f"{dotted}: {message}", reason="unsupported_option", path=path)


class UnauthorisedError(RequestError):
    """No key, or a key that we do not know."""

    def __init__(self, reason: str, message: str) -> None:
        """Keep the contract's reason token."""
        super().__init__("unauthorised", message, reason=reason)


class LimitReachedError(RequestError):
    """The account has reached one of its limits; ``reason`` names it.

    Attributes:
        reset_at: when it is worth trying again.
        min_usd: how much would have to be left of the day's money, where money is the reason.
    """

    def __init__(
        self,
        reason: str,
        message: str,
        *,
        reset_at: datetime,
        retry_after_s: float | None = None,
        min_usd: float | None = None,
    ) -> None:
        """Money is another code than calls and jobs."""
        code = "key_limit_exceeded" if min_usd is None else "insufficient_funds"
        super().__init__(code, message, reason=reason, retry_after_s=retry_after_s)
        self.reset_at = reset_at
        self.min_usd = min_usd


class JobNotFoundError(RequestError):
    """No such job in the caller's account; the same for an unknown id and for somebody else's."""

    def __init__(self, job_id: str) -> None:
        """Name the id that was asked for."""
        super().__init__(
            "not_found", f"no music job {job_id!r} in this account", reason="music_not_found_or_not_owned"
        )
        self.job_id = job_id


class ProviderError(MusicgateError):
    """A vendor failed, or its answer cannot be understood.

    Attributes:
        failure: class, message and native words.
        status: the HTTP status it came with, or None when there was no answer.
        maybe_accepted: the request may have been taken (and billed) although nothing readable came back.
        is_final: the same call would end the same way, so trying again is useless (media larger than ``assets.max_bytes``).
    """

    def __init__(
        self,
        failure: Failure,
        *,
        status: int | None = None,
        maybe_accepted: bool = False,
        is_final: bool = False,
    ) -> None:
        """Use the failure's sentence as the message."""
        super().__init__(failure.message)
        self.failure = failure
        self.status = status
        self.maybe_accepted = maybe_accepted
        self.is_final = is_final

    @property
    def retry_after_s(self) -> float | None:
        """Seconds until a new call makes sense, where the vendor said so."""
        return self.failure.retry_after_s

    @property
    def retryable(self) -> bool:
        """True if the same call may be made again after a wait without risking money."""
        return self.failure.rule.resend and not self.maybe_accepted and not self.is_final


class AllCandidatesFailedError(ProviderError):
    """Nobody could even be called: no provider of this model has a key. ``tries`` are (plugin, failure), in order."""

    def __init__(self, tries: Sequence[tuple[str, Failure]]) -> None:
        """Use the first try's failure as the error's own."""
        super().__init__(tries[0][1])
        self.tries = tuple(tries)


class JobFailedError(ProviderError):
    """A job that was waited for has failed.

    Attributes:
        job: the job, with its id, its attempts and its failure.
    """

    def __init__(self, job: Job, failure: Failure) -> None:
        super().__init__(failure)
        self.job = job


class JobTimeoutError(MusicgateError, TimeoutError):
    """A job is not finished in the time given. It goes on; ``job_id`` finds it again."""

    def __init__(self, job_id: str, timeout_s: float) -> None:
        super().__init__(f"job {job_id} is not finished after {timeout_s:g} s; it goes on")
        self.job_id = job_id


class GatewayClosedError(MusicgateError):
    """The gateway closes, or is closed. What is stored goes on when it opens again.

    Attributes:
        maybe_stored: the request was being stored just then. False = nothing of it was stored or sent.
    """

    def __init__(self, *, maybe_stored: bool = False) -> None:
        more = "the request may have been stored" if maybe_stored else "nothing was stored or sent"
        super().__init__(f"the gateway is closed; {more}")
        self.maybe_stored = maybe_stored


class StorageError(MusicgateError):
    """Our own store or disk failed.

    Attributes:
        maybe_stored: the write may have happened all the same: its answer was lost. False = nothing was stored, and so nothing was sent.
    """

    def __init__(self, message: str, *, maybe_stored: bool = False) -> None:
        super().__init__(message)
        self.maybe_stored = maybe_stored


def failure_of(error: MusicgateError) -> Failure:
    """Return the failure that a job ends with because of an error: the vendor's own, or one of the gateway's."""
    from musicgate.model import Failure, FailureClass

    if isinstance(error, ProviderError):
        return error.failure
    return Failure(reason=FailureClass.GATEWAY, message=str(error))
