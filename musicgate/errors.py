"""The tree of all exceptions, with what HTTP and the command line make of each.

It must not know an HTTP library, a vendor or the shape of JSON: `musicgate.views` renders the errors.

MusicgateError
├── ConfigError              a setting is wrong; names the key and where it came from
├── PluginError              a plugin broke its contract; names the plugin
├── RequestError             the caller can fix it
│   ├── InvalidRequestError      the body breaks the schema; carries every violation
│   ├── UnsupportedOptionError   an option that the chosen provider does not support
│   ├── UnauthorisedError        no key, or an unknown one
│   ├── LimitReachedError        a rate limit, a concurrency limit or the daily spend is used up
│   └── JobNotFoundError         no such job in the caller's account
├── ProviderError            a vendor failed, or its answer cannot be understood
│   ├── AllCandidatesFailedError no provider of the model has an API key
│   └── JobFailedError           a job that was waited for has failed; carries the job
├── JobTimeoutError          a job is not finished in the time given; it goes on, and the error carries its id
├── NotAudioError            bytes are not audio that plays
├── MarksError               a file cannot be tagged or signed
├── GatewayClosedError       the gateway is closing or closed; stored jobs go on when it opens again
├── StorageError             our own store or disk failed
└── ServerError              for clients: a server failed, is out of reach, or is no musicgate

A new class needs this file only: it overrides what differs from `MusicgateError`, and joins the tree above.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Final

import attrs

from musicgate.model import Attribution, Failure, FailureClass

if TYPE_CHECKING:
    from datetime import datetime

    from musicgate.model import Job, JsonValue

#: Longest list of failed calls that one answer shows.
_MAX_SAMPLES: Final = 3
#: A PostgreSQL that is restarted, or replaced by its standby, is back after seconds.
_AWAY_S: Final = 2.0


@attrs.frozen(kw_only=True)
class ErrorCode:
    """The meaning of one error code of the HTTP contract.

    Attributes:
        http_status: status of an answer with this code, unless the error gives another one.
        is_system: ``error_type`` is ``system`` instead of ``user``.
        attribution: whose error it is; for ``upstream_error`` the class of the failure decides instead.
    """

    http_status: int
    is_system: bool = False
    attribution: Attribution = Attribution.USER


#: The error codes of the contract.
#: Source: docs.ai-stats.phaseo.app, error and music pages, February 2026.
CODES: Final[Mapping[str, ErrorCode]] = MappingProxyType(
    {
        "unauthorised": ErrorCode(http_status=401),
        "invalid_json": ErrorCode(http_status=400),
        "validation_error": ErrorCode(http_status=400),
        "model_required": ErrorCode(http_status=400),
        "not_supported": ErrorCode(http_status=400),
        "not_found": ErrorCode(http_status=404),
        "not_ready": ErrorCode(http_status=409),
        "guardrail_blocked": ErrorCode(http_status=403),
        "unsupported_model_or_endpoint": ErrorCode(http_status=400),
        "unsupported_modalities": ErrorCode(http_status=400),
        "pricing_not_configured": ErrorCode(http_status=402),
        "insufficient_funds": ErrorCode(http_status=402),
        "key_limit_exceeded": ErrorCode(http_status=429, is_system=True),
        "gateway_error": ErrorCode(http_status=500, is_system=True, attribution=Attribution.UPSTREAM),
        "pipeline_execution_error": ErrorCode(http_status=500),
        "upstream_error": ErrorCode(http_status=502, is_system=True),
        "normalization_failed": ErrorCode(http_status=502),
        "payload_too_large": ErrorCode(http_status=413),
    }
)


@attrs.frozen(kw_only=True)
class Violation:
    """One place where a body breaks the schema.

    Attributes:
        path: keys and indexes from the root to the place.
        keyword: the JSON Schema keyword that is broken (``type``, ``required``, ...).
        code: the contract's coarser name for it (``invalid_type``, ``too_small``, ...).
        params: the keyword's own value, e.g. ``{"maximum": 1}``.
    """

    path: tuple[str | int, ...]
    message: str
    keyword: str
    code: str
    params: Mapping[str, JsonValue] = attrs.field(factory=dict)


class MusicgateError(Exception):
    """Base of all errors that musicgate raises on purpose.

    Attributes:
        exit_code: exit code of a command that ends with this error.
        code: error code of the HTTP answer, a key of `CODES`.
        http_status: status of the HTTP answer.
        reason: token that says more than the code, or None.
        attribution: whose error it is.
        retry_after_s: seconds until the same call makes sense, where known.
        answer: for a client: the error as the server sent it, in the published schema ``error``; else None.
    """

    exit_code: ClassVar[int] = 1
    code: str = "gateway_error"
    http_status: int = CODES["gateway_error"].http_status
    reason: str | None = None
    attribution: Attribution = CODES["gateway_error"].attribution
    retry_after_s: float | None = None
    answer: Mapping[str, object] | None = None

    @property
    def description(self) -> str:
        """Sentence for the caller over HTTP."""
        return f"the gateway failed: {self}"

    @property
    def fields(self) -> Mapping[str, object]:
        """Further keys of the HTTP answer; `musicgate.views` renders the values."""
        return {}


class ConfigError(MusicgateError):
    """A setting is wrong.

    Attributes:
        key: its dotted name.
        source: the file or environment variable that it came from.
    """

    exit_code = 3

    def __init__(self, message: str, *, key: str | None = None, source: str | None = None) -> None:
        where = " in ".join(part for part in (key, source) if part)
        super().__init__(f"{where}: {message}" if where else message)
        self.key = key
        self.source = source


class PluginError(MusicgateError):
    """A plugin could not be loaded, or broke its contract."""

    def __init__(self, plugin: str, message: str) -> None:
        super().__init__(f"plugin {plugin}: {message}")
        self.plugin = plugin


class RequestError(MusicgateError):
    """The caller can fix it.

    Attributes:
        path: the option that it is about, or ``()``.
    """

    exit_code = 2

    def __init__(
        self,
        code: str,
        message: str,
        *,
        reason: str | None = None,
        path: Sequence[str | int] = (),
        http_status: int | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        """Build the error.

        Args:
            http_status: where it is not the code's usual one.

        Raises:
            ValueError: the contract has no such code.
        """
        super().__init__(message)
        rule = CODES.get(code)
        if rule is None:
            raise ValueError(f"{code!r} is not an error code; there are {', '.join(CODES)}")
        self.code = code
        self.message = message
        self.reason = reason
        self.path = tuple(path)
        self.http_status = rule.http_status if http_status is None else http_status
        self.attribution = rule.attribution
        self.retry_after_s = retry_after_s

    @property
    def description(self) -> str:
        """The message, after the name of the option unless the message contains it."""
        dotted = ".".join(str(part) for part in self.path)
        return f"{dotted}: {self.message}" if dotted and dotted not in self.message else self.message


class InvalidRequestError(RequestError):
    """The body breaks the schema. Its message is the first violation, its reason that violation's code.

    Attributes:
        violations: the first ones, in schema order.
        left_out: how many more were found.
        is_counted: False if there are even more than ``left_out``.
    """

    def __init__(
        self, violations: Sequence[Violation], *, left_out: int = 0, is_counted: bool = True
    ) -> None:
        first = violations[0]
        dotted = ".".join(str(part) for part in first.path)
        super().__init__(
            "validation_error",
            f"{first.message} at {dotted}" if dotted else first.message,
            reason=first.code,
            path=first.path,
        )
        self.violations = tuple(violations)
        self.left_out = left_out
        self.is_counted = is_counted

    @property
    def fields(self) -> Mapping[str, object]:
        """The violations, and how many more there are."""
        if not self.left_out:
            return {"details": self.violations}
        at_least = "" if self.is_counted else "at least "
        rest = Violation(
            path=(),
            message=f"and {at_least}{self.left_out:,} more",
            keyword="left_out",
            code="left_out",
            params={"left_out": self.left_out},
        )
        return {"details": (*self.violations, rest)}


class UnsupportedOptionError(RequestError):
    """The chosen provider does not support this option."""

    def __init__(self, path: Sequence[str | int], message: str) -> None:
        dotted = ".".join(str(part) for part in path)
        super().__init__("not_supported", f"{dotted}: {message}", reason="unsupported_option", path=path)


class UnauthorisedError(RequestError):
    """No key, or an unknown one; for a client also one that may not do this (403)."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__("unauthorised", message, reason=reason)


class LimitReachedError(RequestError):
    """The account has reached one of its limits; ``reason`` names it.

    Attributes:
        reset_at: when it is worth trying again.
        min_usd: how much of the daily spend would have to be left, if money is the reason.
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
        code = "key_limit_exceeded" if min_usd is None else "insufficient_funds"
        super().__init__(code, message, reason=reason, retry_after_s=retry_after_s)
        self.reset_at = reset_at
        self.min_usd = min_usd

    @property
    def fields(self) -> Mapping[str, object]:
        """When to try again, and the money that is missing."""
        money = {} if self.min_usd is None else {"min_usd": self.min_usd}
        return {"reset_at": self.reset_at, **money}


class JobNotFoundError(RequestError):
    """No such job in the caller's account; the same for an unknown id and for another account's job."""

    def __init__(self, job_id: str) -> None:
        super().__init__(
            "not_found", f"no music job {job_id!r} in this account", reason="music_not_found_or_not_owned"
        )
        self.job_id = job_id

    @property
    def fields(self) -> Mapping[str, object]:
        """The id that was asked for."""
        return {"music_id": self.job_id}


class ProviderError(MusicgateError):
    """A vendor failed, or its answer cannot be understood.

    What each class of failure means is in `musicgate.model.RULES`.

    Attributes:
        failure: class, message, and the vendor's own code and message.
        status: HTTP status of the vendor's answer, or None without an answer. Ours is ``http_status``.
        maybe_accepted: the request may have been accepted (and billed) although nothing readable came back.
        is_final: the same call would end the same way, so a retry is useless (media larger than
            ``assets.max_bytes``).
    """

    def __init__(
        self,
        failure: Failure,
        *,
        status: int | None = None,
        maybe_accepted: bool = False,
        is_final: bool = False,
    ) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.status = status
        self.maybe_accepted = maybe_accepted
        self.is_final = is_final
        rule = failure.rule
        self.code = rule.code
        self.http_status = failure.status
        self.reason = str(failure.reason)
        self.attribution = rule.attribution
        self.retry_after_s = failure.retry_after_s

    @property
    def retryable(self) -> bool:
        """True if the same call may be made again after a wait without risking money."""
        return self.failure.rule.resend and not self.maybe_accepted and not self.is_final

    @property
    def description(self) -> str:
        """The failure's message."""
        return self.failure.message

    @property
    def fields(self) -> Mapping[str, object]:
        """What the vendor returned."""
        failure = self.failure
        native = {
            "native_code": failure.native_code,
            "native_message": failure.native_message,
            "suggestion": failure.suggestion,
        }
        return {key: value for key, value in native.items() if value is not None}


class AllCandidatesFailedError(ProviderError):
    """No provider of this model has an API key configured.

    Attributes:
        tries: plugin and failure of each candidate, in order.
    """

    exit_code = 3

    def __init__(self, tries: Sequence[tuple[str, Failure]]) -> None:
        """Use the first failure as the error's own."""
        super().__init__(tries[0][1])
        self.tries = tuple(tries)
        self.code = "upstream_error"
        self.http_status = CODES[self.code].http_status
        self.reason = "all_candidates_failed"
        self.attribution = Attribution.UPSTREAM

    @property
    def description(self) -> str:
        """The first failure's message."""
        return f"no provider could be called: {self.failure.message}"

    @property
    def fields(self) -> Mapping[str, object]:
        """The candidates, with the failures of the first ones."""
        return {
            "attempt_count": len(self.tries),
            "failed_providers": [plugin for plugin, _ in self.tries],
            "failed_statuses": [failure.rule.http_status for _, failure in self.tries],
            "failed_samples": [
                {"provider_plugin": plugin, "status": failure.rule.http_status, "message": failure.message}
                for plugin, failure in self.tries[:_MAX_SAMPLES]
            ],
        }


class NotAudioError(MusicgateError, ValueError):
    """The bytes are not audio that plays: another kind of file, cut short, or of no length."""


class MarksError(MusicgateError, ValueError):
    """A file cannot be tagged or signed as asked for; its bytes are as they were."""


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
    """The gateway is closing or closed. Stored jobs go on when it opens again.

    Attributes:
        maybe_stored: the request was being stored just then. False = nothing of it was stored or sent.
    """

    http_status = 503
    #: A restart takes about as long.
    retry_after_s = 5.0

    def __init__(self, *, maybe_stored: bool = False) -> None:
        more = "the request may have been stored" if maybe_stored else "nothing was stored or sent"
        super().__init__(f"the gateway is closed; {more}")
        self.maybe_stored = maybe_stored

    @property
    def description(self) -> str:
        """Sentence for the caller."""
        return str(self)


class StorageError(MusicgateError):
    """Our own store or disk failed.

    Attributes:
        maybe_stored: the write may have happened all the same, since its answer was lost. False = nothing was
            stored, and so nothing was sent.
        is_refusal: it fails until that is mended: wrong credentials, no permission, no such bucket.
        is_away: it does not answer at the moment, and nothing was stored: the same call may succeed soon.
    """

    def __init__(
        self,
        message: str,
        *,
        maybe_stored: bool = False,
        is_refusal: bool = False,
        is_away: bool = False,
    ) -> None:
        super().__init__(message)
        self.maybe_stored = maybe_stored
        self.is_refusal = is_refusal
        self.is_away = is_away and not maybe_stored  # or a client would repeat what was perhaps sent
        if self.is_away:
            self.http_status = 503
            self.retry_after_s = _AWAY_S

    @property
    def description(self) -> str:
        """Sentence for the caller, without the message: it may name paths of the server."""
        if self.maybe_stored:
            return (
                "the gateway's own store failed, and the request may have been stored and sent: look for its"
                " job before you send it again, or repeat it with the same Idempotency-Key"
            )
        what = "does not answer at the moment" if self.is_away else "failed"
        return f"the gateway's own store {what}; nothing was stored, and nothing was sent"


class ServerError(MusicgateError):
    """A musicgate server failed, is out of reach, or is no musicgate; raised by `musicgate.Client`.

    Attributes:
        setting: the setting of the client to look at, ``url`` or ``ca_file``; None = the server is at fault.
        status: HTTP status of the answer; None without an answer.
        maybe_stored: the call was a create call that may have arrived. The same call with the same
            ``idempotency_key`` gives the job, and makes no second one.
        idempotency_key: the key of such a call; None for every other call.
    """

    def __init__(
        self,
        reason: str,
        message: str,
        *,
        setting: str | None = None,
        status: int | None = None,
        retry_after_s: float | None = None,
        maybe_stored: bool = False,
        idempotency_key: str | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.setting = setting
        self.status = status
        self.retry_after_s = retry_after_s
        self.maybe_stored = maybe_stored
        self.idempotency_key = idempotency_key


def failure_of(error: MusicgateError) -> Failure:
    """Return the failure that a job ends with: the vendor's own, or one of the gateway."""
    if isinstance(error, ProviderError):
        return error.failure
    return Failure(reason=FailureClass.GATEWAY, message=str(error))
