"""A vendor's errors as data, and the one procedure that reads an answer by them.

Money hangs on this procedure: a create call that failed may be made again, elsewhere or by hand, only if the
vendor has certainly made nothing of it. A plugin states what its vendor's codes mean. In which order they are
believed, and what an answer proves, is the same for all vendors:

1. **The code in the body comes before the HTTP status.** Many vendors answer HTTP 200 to everything; a proxy
   before them changes the status and leaves the body.
2. **Success needs both.** A success code under an HTTP error status is a contradiction. A song may have been
   made and paid for, so it is an error with ``maybe_accepted``.
3. **A task id means accepted**, whatever else the body says.
4. **A refusal has to be the vendor's own.** A 4xx is one, also without a readable body: the call was not let
   in. A 5xx is one only if its body can be read, and the table has a row for its code (or, without a code,
   for the HTTP status) whose class costs nothing. A 5xx from a proxy (HTML, empty, cut) says nothing about
   the work behind it, and neither do 408 and 504.
5. **A reason like "failed" does not say when it failed.** Under a 5xx, or as a code from 500 to 599 or 408, a
   create call with it may have been accepted, unless the table says that the code rules this out
   (``refuses``).
6. **A success without an id or a song may have been accepted.** So may an answer that cannot be read, and
   one that no row of the table fits. Nothing is guessed.
7. **While polling, only an answer about the song ends a job**: a code that is listed in ``ends_job``. "No
   such task" and the codes in ``doubts`` end it only if they last (`Doubt`). All other errors are noise: the
   job stays as it is.
8. **Where a read has the song itself as its answer, an error in its place ends the job** (``is_outcome``), if
   it is the vendor's own: it has a code, or it is a 4xx that says why and that is not about the call (no key,
   too many calls, no money). A bare 5xx is a proxy's, and noise as ever.

What "may have been accepted" means for the job is decided elsewhere (`musicgate.jobs`); no call is repeated
after it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, TypeVar

import attrs

from musicgate.errors import ProviderError
from musicgate.model import RULES, Cost, Doubt, Failure, FailureClass, JobState, JobUpdate, JsonValue
from musicgate.plugin import lenient
from musicgate.plugin.hooks import Step
from musicgate.plugin.wire import HttpResponse

_R = TypeVar("_R")

#: A vendor's message is cut to this length.
MAX_MESSAGE_CHARS: Final = 500

#: Classes that are ours to give, not a vendor's.
_OURS: Final = frozenset(
    {FailureClass.UNKNOWN_OUTCOME, FailureClass.EXPIRED, FailureClass.CANCELLED, FailureClass.GATEWAY}
)
#: Classes so vague that a message which says more is believed instead.
_VAGUE: Final = frozenset({FailureClass.UPSTREAM_FAILED, FailureClass.INVALID, FailureClass.PROTOCOL})
#: Classes of an error that says nothing of a song which the call asks for.
_ABOUT_THE_CALL: Final = frozenset(
    {
        *(FailureClass.AUTH, FailureClass.FORBIDDEN, FailureClass.CREDITS, FailureClass.NOT_FOUND),
        *(FailureClass.RATE_LIMITED, FailureClass.UNAVAILABLE),
    }
)
#: Bound once, for each answer: on Python 3.11 a member by the name of its class is a slow look-up.
_CREATE: Final = Step.CREATE
_IN_PROGRESS: Final = JobState.IN_PROGRESS
#: Statuses of a call that was given up on: the work may go on.
_TIMEOUTS: Final = frozenset({408, 504})
#: What HTTP itself says of its statuses; a table lists only where its vendor differs.
_HTTP: Final[Mapping[int, FailureClass]] = {
    400: FailureClass.INVALID,
    401: FailureClass.AUTH,
    402: FailureClass.CREDITS,
    403: FailureClass.FORBIDDEN,
    404: FailureClass.NOT_FOUND,
    408: FailureClass.TIMEOUT,
    409: FailureClass.CONFLICT,
    422: FailureClass.INVALID,
    429: FailureClass.RATE_LIMITED,
    504: FailureClass.TIMEOUT,
}


@attrs.frozen(init=False)
class At:
    """Where something is in a body: dotted paths, the first with a value counts.

    A part of a path that is a number is an index of a list: ``detail.0.type``, and ``0.type`` in a body that
    is a list.
    """

    paths: tuple[tuple[str, ...], ...]

    def __init__(self, *paths: str) -> None:
        self.__attrs_init__(tuple(tuple(path.split(".")) for path in paths))

    def values(self, body: object) -> Iterator[JsonValue]:
        """Every value that is there: neither missing, null, empty nor blank."""
        for path in self.paths:
            value = body
            for key in path:
                value = value.get(key) if type(value) is dict else _inside(value, key)
            if type(value) is int or (value is not None and value not in ([], {}) and not _is_blank(value)):
                yield value

    def first(self, body: object) -> JsonValue:
        """The first of them, or None."""
        return next(self.values(body), None)

    def read(self, body: object, reader: Callable[[JsonValue], _R | None]) -> _R | None:
        """The first that a reader understands (`lenient.url`, `lenient.moment`), as it reads it, or None."""
        return next((read for value in self.values(body) if (read := reader(value)) is not None), None)

    def text(self, body: object) -> str | None:
        """The first that is text or an integer, cut and stripped; None without any."""
        for value in self.values(body):
            if text := message_of(value):
                return text
        return None


@attrs.frozen
class Rule:
    """What a code, a text or a status of a vendor means.

    Attributes:
        reason: the failure class.
        message: our sentence; None = the vendor's own message.
        keep_status: HTTP statuses of the vendor, in the answer or as its code, that our answer keeps. Else
            the class decides.
        wait_s: seconds until a new call makes sense, where the answer has no ``Retry-After``.
        refuses: it rules out that a create call was accepted, also under a server error.
        refunded: the vendor charges nothing for it.
        beats_codes: of a text: it is believed beside any code, not only beside a vague one.
    """

    reason: FailureClass
    message: str | None = attrs.field(default=None, kw_only=True)
    keep_status: tuple[int, ...] = attrs.field(default=(), kw_only=True)
    wait_s: float | None = attrs.field(default=None, kw_only=True)
    refuses: bool = attrs.field(default=False, kw_only=True)
    refunded: bool = attrs.field(default=False, kw_only=True)
    beats_codes: bool = attrs.field(default=False, kw_only=True)


Row = FailureClass | Rule
Code = int | str


def _codes(codes: Iterable[Code]) -> frozenset[Code]:
    return frozenset(codes)


@attrs.frozen(kw_only=True)
class ErrorTable:
    """What a vendor's errors mean. The module's text says in which order they are believed.

    Attributes:
        vendor: its name in sentences.
        code: where the vendor's error code is. Of several the first is shown as the native code, and the
            first that has a row decides.
        code_in_text: pattern whose first group is a code in the message, where the body has none.
        reset_in_text: pattern whose first group is a time in the message, before which a new call makes no
            sense; a ``Retry-After`` beats it.
        text: where its message is. A list of ``{"loc", "msg"}`` is joined to one text.
        error: where a 2xx body has something only if it is an error.
        status: where a 2xx body names an HTTP status.
        suggestion: where it proposes another prompt or plan.
        task_id: where the id of the new task is.
        ok: codes that say success.
        codes: code -> class.
        words: text in the lower-cased message -> class; only beside a vague code, unless ``beats_codes``.
        http: HTTP status -> class, where it differs from what HTTP itself says. From 500 on a row counts only
            for a readable body.
        http_codes: codes without a row that mean what HTTP says of the status of the same number; rows of
            ``http`` count for them.
        status_is_code: an error without a code has the HTTP status in its place.
        unknown: class of a code without a row; under an HTTP error the status decides.
        job_words: native status of a failed task -> class.
        ends_job: codes that end a job, as the code of a read or in the task's own record.
        no_record: codes of a read that say "no such task", for so long that it is believed.
        no_record_grace_s: a new task may have no record yet; so long the answer has to last.
        free_server_errors: a task whose outcome is a server error costs nothing.
        doubts: further codes of a read that end a job if they last, and the seconds.

    Raises:
        ValueError: the table contradicts itself; the message names the entry.
    """

    vendor: str
    code: At = At()
    code_in_text: str | None = None
    reset_in_text: str | None = None
    text: At = At()
    error: At = At()
    status: At = At()
    suggestion: At = At()
    task_id: At = At()
    ok: frozenset[Code] = attrs.field(default=frozenset(), converter=_codes)
    codes: Mapping[Code, Row] = attrs.field(factory=dict)
    words: Mapping[str, Row] = attrs.field(factory=dict)
    http: Mapping[int, Row] = attrs.field(factory=dict)
    http_codes: frozenset[Code] = attrs.field(default=frozenset(), converter=_codes)
    status_is_code: bool = True
    unknown: Row = FailureClass.UPSTREAM_FAILED
    job_words: Mapping[str, Row] = attrs.field(factory=dict)
    ends_job: frozenset[Code] = attrs.field(default=frozenset(), converter=_codes)
    no_record: frozenset[Code] = attrs.field(default=frozenset(), converter=_codes)
    no_record_grace_s: float = 60.0
    doubts: Mapping[Code, float] = attrs.field(factory=dict)
    free_server_errors: bool = False
    _rules: Mapping[str, Rule] = attrs.field(init=False, repr=False, eq=False)
    _ok: frozenset[str] = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        fault = _contradiction(self)
        if fault is not None:
            raise ValueError(f"the error table of {self.vendor}: {fault}")
        as_status = {str(code): self._rule_of_status(int(code), is_readable=True) for code in self.http_codes}
        rules = as_status | {str(code): _rule(row) for code, row in self.codes.items()}
        object.__setattr__(self, "_rules", rules)
        object.__setattr__(self, "_ok", frozenset(map(str, self.ok)))

    def with_codes(self, codes: Mapping[Code, Row]) -> ErrorTable:
        """The table of a relative of this vendor: the same with other or further codes."""
        return attrs.evolve(self, codes={**self.codes, **codes})

    def open(
        self, step: Step, response: HttpResponse, *, is_outcome: bool = False
    ) -> dict[str, JsonValue] | JobUpdate:
        """The body of an answer that is no error, or what an error means for the job.

        Args:
            is_outcome: the answer is what became of the task, not a record of it. Then an error with the
                vendor's own reason ends the job; one that is about the call, or of a proxy, is noise.

        Raises:
            ProviderError: it may hide an accepted task, says nothing about the song, or cannot be read.
        """
        try:
            body = response.json_object()
        except ProviderError:
            if response.is_success:
                raise
            return self._opened(step, response, _listed(response), is_outcome=is_outcome)
        return self._opened(step, response, body, is_outcome=is_outcome)

    def _opened(
        self, step: Step, response: HttpResponse, body: Any, *, is_outcome: bool
    ) -> dict[str, JsonValue] | JobUpdate:
        try:
            update = self.refusal(step, response, body)
        except ProviderError as error:
            failure = error.failure
            if not is_outcome or not self._is_outcome(failure, response):
                raise
            if self.free_server_errors and response.status >= 500:
                failure = attrs.evolve(failure, may_have_cost=False)
            return JobUpdate(failure=failure, body=body)
        return body if update is None else update

    def _is_outcome(self, failure: Failure, response: HttpResponse) -> bool:
        """True if an error in the place of a song is the vendor's own word about that song."""
        if response.is_success or failure.reason in _ABOUT_THE_CALL:
            return False
        if failure.native_code not in {None, str(response.status)}:
            return True
        is_refusal = response.status < 500 and response.status not in _TIMEOUTS
        return is_refusal and failure.native_message is not None

    def refusal(self, step: Step, response: HttpResponse, body: JsonValue) -> JobUpdate | None:
        """What an error means for the job; None for an answer that is no error.

        Args:
            step: which call this answers.
            response: the answer.
            body: its parsed body; an empty object if it cannot be read.

        Raises:
            ProviderError: it may hide an accepted task, or says nothing about the song.
        """
        found = [code for value in self.code.values(body) if (code := lenient.text(value))]
        if response.is_success and not self._ok:  # what is there need not be an error
            found = [code for code in found if code in self._rules]
        if not self._ok.isdisjoint(found):
            if response.is_success:
                return None
            raise self._success_under_an_error(step, response)
        if response.is_success and not found and self.error.first(body) is None:
            return None
        text = self.text.text(body)
        if self.code_in_text and not found:
            match = re.search(self.code_in_text, text or "")
            found = [match[1]] if match and match[1] in self._rules else []
        code = next((code for code in found if code in self._rules), found[0] if found else None)
        status = response.status
        if response.is_success and not found:
            status = lenient.integer(self.status.first(body)) or status
        is_readable = bool(found or text)
        rule = self._rule_of(code, text, status, is_readable=is_readable)
        failure = self._failure(step, rule, found[0] if found else None, text, response, status)
        suggestion = self.suggestion.first(body)
        if suggestion is not None:
            failure = attrs.evolve(failure, suggestion=suggestion)
        if step is not _CREATE:
            return self._refused_read(failure, code or (str(status) if is_readable else ""), response, body)
        native_id = self.task_id.text(body)
        if native_id is None and _hides_acceptance(rule, code, status, is_known=code in self._rules):
            raise ProviderError(failure, status=response.status, maybe_accepted=True)
        return JobUpdate(native_id=native_id, failure=failure, body=body)

    def created(self, response: HttpResponse, body: Mapping[str, JsonValue]) -> JobUpdate:
        """The answer to a create call that is no error: the new task.

        Raises:
            ProviderError: it has no id, so the task may exist and cannot be asked for.
        """
        native_id = self.task_id.text(body)
        if native_id is None:
            raise self.unreadable(response, "reported success but gave no task id", text=self.text.text(body))
        return JobUpdate(native_id=native_id, state=_IN_PROGRESS, body=dict(body))

    def unreadable(self, response: HttpResponse, what: str, *, text: str | None = None) -> ProviderError:
        """The error of an answer that no rule fits: the call may have been accepted and paid for.

        Args:
            what: the rest of a sentence that begins with the vendor's name.
            text: the vendor's own message.
        """
        failure = Failure(
            reason=FailureClass.PROTOCOL, message=f"{self.vendor} {what}", native_message=message_of(text)
        )
        return ProviderError(failure, status=response.status, maybe_accepted=True)

    def refuse_cut(self, response: HttpResponse, *, is_whole: bool = True) -> None:
        """Refuse an answer that was cut off: a song that it held was made and paid for, and is lost.

        Args:
            is_whole: whether the body itself is complete, which counts where no length is announced.

        Raises:
            ProviderError: class ``unknown_outcome``.
        """
        announced, why = response.header("content-length"), None
        if announced is None:
            why = None if is_whole else "its end is missing"
        elif announced.isdecimal() and not response.header("content-encoding"):
            length = len(response.body)
            why = f"{length} of {announced} bytes" if length < int(announced[:18]) else None
        if why is not None:
            message = f"{self.vendor}'s answer was cut off: {why}"
            failure = Failure(reason=FailureClass.UNKNOWN_OUTCOME, message=message)
            raise ProviderError(failure, status=response.status, maybe_accepted=True)

    def missing(self, body: JsonValue, *, text: str | None = None) -> JobUpdate:
        """The answer to a read that has no record of the task: "no such task", if it lasts."""
        failure = Failure(
            reason=FailureClass.NOT_FOUND,
            message=text or f"{self.vendor} has no record of the task",
            native_message=text,
        )
        return JobUpdate(doubt=Doubt(failure=failure, grace_s=self.no_record_grace_s), body=body)

    def task_failure(self, status: str, code: JsonValue = None, text: JsonValue = None) -> Failure:
        """Why a task failed, by its record.

        A code counts only if it is about a task (``ends_job``, ``doubts``) and the status does not say more:
        codes about a call say no more than that it failed.

        Args:
            status: the native status.
            code: the error code in the record.
            text: the message in the record.
        """
        own, message = lenient.text(code), message_of(text)
        rule = Rule(FailureClass.UPSTREAM_FAILED)
        words = {word.casefold(): row for word, row in self.job_words.items()}
        about_tasks = {str(listed) for listed in (*self.ends_job, *self.doubts)}
        if status.strip().casefold() in words:
            rule = _rule(words[status.strip().casefold()])
        refunded = rule.refunded
        if rule.reason is FailureClass.UPSTREAM_FAILED and own in about_tasks:
            rule = self._rules.get(own or "", rule)
        return Failure(
            reason=rule.reason,
            message=rule.message or message or f"{self.vendor} reported {status}",
            native_code=own or status,
            native_message=message,
            may_have_cost=False if refunded or rule.refunded else None,
        )

    def _rule_of(self, code: str | None, text: str | None, status: int, *, is_readable: bool) -> Rule:
        rule = self._rules.get(code or "")
        if rule is None:
            if code is None or status >= 300:
                rule = self._rule_of_status(status, is_readable=is_readable)
            else:
                rule = self._rule_of_unknown(code)
        lowered = (text or "").lower()
        for word, row in self.words.items():
            said = _rule(row)
            if word in lowered and (said.beats_codes or rule.reason in _VAGUE):
                return said
        return rule

    def _rule_of_unknown(self, code: str) -> Rule:
        rule = _rule(self.unknown)
        return attrs.evolve(
            rule, message=rule.message or f"{self.vendor} answered with the unknown code {code}"
        )

    def _rule_of_status(self, status: int, *, is_readable: bool) -> Rule:
        row = self.http.get(status) or _HTTP.get(status)
        if status >= 500 and not is_readable and status not in _TIMEOUTS:
            row = None  # a proxy's own page says nothing about the work behind it
        if row is None:
            row = FailureClass.INVALID if status < 500 else FailureClass.UPSTREAM_FAILED
            row = FailureClass.PROTOCOL if status < 400 else row
        return _rule(row)

    def _failure(
        self,
        step: Step,
        rule: Rule,
        code: str | None,
        text: str | None,
        response: HttpResponse,
        status: int,
    ) -> Failure:
        # A create call that is refused for good is not worth a wait; a poll comes again in any case.
        waits = step is not _CREATE or RULES[rule.reason].resend
        wait_s = lenient.retry_after_s(response) if waits else None
        if waits and wait_s is None:
            wait_s = self._until_reset_s(text, response)
        said = f"code {code}" if code else f"HTTP {status}"
        kept = lenient.integer(code) if response.is_success and code else status
        return Failure(
            reason=rule.reason,
            message=rule.message or text or f"{self.vendor} answered with {said} and gave no reason",
            native_code=code or (str(status) if self.status_is_code else None),
            native_message=text,
            retry_after_s=rule.wait_s if wait_s is None else wait_s,
            http_status=kept if kept in rule.keep_status else None,
            may_have_cost=False if rule.refunded else None,
        )

    def _until_reset_s(self, text: str | None, response: HttpResponse) -> float | None:
        named = re.search(self.reset_in_text, text or "") if self.reset_in_text else None
        reset = lenient.moment(named[1]) if named else None
        if reset is None or response.received_at is None:
            return None
        return max(0.0, (reset - response.received_at).total_seconds())

    def _success_under_an_error(self, step: Step, response: HttpResponse) -> ProviderError:
        rule = self._rule_of_status(response.status, is_readable=False)
        message = f"{self.vendor} answered with HTTP {response.status} around a body that says success"
        failure = Failure(reason=rule.reason, message=message, retry_after_s=lenient.retry_after_s(response))
        return ProviderError(failure, status=response.status, maybe_accepted=step is _CREATE)

    def _refused_read(
        self, failure: Failure, code: str, response: HttpResponse, body: JsonValue
    ) -> JobUpdate:
        if code in set(map(str, self.no_record)):
            gone = attrs.evolve(failure, reason=FailureClass.NOT_FOUND, http_status=None)
            return JobUpdate(doubt=Doubt(failure=gone, grace_s=self.no_record_grace_s), body=body)
        for doubted, grace_s in self.doubts.items():
            if code == str(doubted):
                return JobUpdate(doubt=Doubt(failure=failure, grace_s=grace_s), body=body)
        if code in set(map(str, self.ends_job)):
            return JobUpdate(failure=failure, body=body)
        raise ProviderError(failure, status=response.status)


def message_of(value: JsonValue) -> str | None:
    """A vendor's message as it can be kept: text, cut and stripped, without halves of surrogate pairs."""
    if type(value) is str and len(value) <= MAX_MESSAGE_CHARS and value.isascii():
        return value.strip() or None  # as nearly all are, the id of a new task too
    if isinstance(value, list):
        parts = [_entry(entry) for entry in lenient.items(value)]
        value = "; ".join(part for part in parts if part)
    text = lenient.text(value)
    return text[:MAX_MESSAGE_CHARS].strip().encode("utf-8", "replace").decode() if text else None


def _listed(response: HttpResponse) -> JsonValue:
    """The list that some vendors send in place of an error object; an empty object for anything else."""
    try:
        body = response.json()
    except ProviderError:
        return {}
    return body if isinstance(body, list) else {}


def _entry(entry: Mapping[str, object]) -> str:
    """One error of a list as FastAPI and pydantic write it: where, and what."""
    where = entry.get("loc")
    dotted = ".".join(str(part) for part in where) if isinstance(where, list) else ""
    message = lenient.text(lenient.first(entry, "msg", "message")) or ""
    return f"{dotted}: {message}" if dotted and message else message or dotted


def _hides_acceptance(rule: Rule, code: str | None, status: int, *, is_known: bool) -> bool:
    """True for a refused create call after which a task may exist all the same."""
    if rule.refuses:
        return False
    if rule.reason is FailureClass.PROTOCOL:
        return True
    number = lenient.integer(code)
    is_server_error = status >= 500 or status in _TIMEOUTS
    is_server_error |= number is not None and (500 <= number < 600 or number in _TIMEOUTS)
    if not is_server_error:
        return False
    says_why = is_known or RULES[rule.reason].cost is Cost.NO
    return not says_why or rule.reason in {FailureClass.UPSTREAM_FAILED, FailureClass.TIMEOUT}


def _inside(value: object, key: str) -> object:
    if isinstance(value, Mapping):
        return value.get(key)
    if isinstance(value, list) and key.isdecimal() and int(key) < len(value):
        return value[int(key)]
    return None


def _is_blank(value: object) -> bool:
    return isinstance(value, str) and not value.strip()


def _rule(row: Row) -> Rule:
    return row if isinstance(row, Rule) else Rule(row)


def _contradiction(table: ErrorTable) -> str | None:
    """The first entry that contradicts the rest, in words; None without any."""
    named: dict[str, Mapping[Code, Row] | Mapping[str, Row] | Mapping[int, Row]] = {
        "codes": table.codes,
        "words": table.words,
        "http": table.http,
        "job_words": table.job_words,
        "unknown": {"": table.unknown},
    }
    patterns = {"code_in_text": table.code_in_text, "reset_in_text": table.reset_in_text}
    for name, pattern in patterns.items():
        if pattern is not None and not re.compile(pattern).groups:
            return f"{name} has no group, so nothing is read from a message"
    faults = (_row_fault(name, key, row) for name, rows in named.items() for key, row in rows.items())
    return next((fault for fault in faults if fault is not None), None) or _code_fault(table)


def _row_fault(name: str, key: Code, row: Row) -> str | None:
    reason: object = row.reason if isinstance(row, Rule) else row
    where = f"{name}[{key!r}]"
    if not isinstance(reason, FailureClass):
        return f"{where} is {reason!r}, which is no failure class"
    if reason in _OURS and (name, reason) != ("job_words", FailureClass.CANCELLED):
        return f"{where} is {str(reason)!r}, which no vendor can say"
    if name == "words" and (str(key) != str(key).lower() or not str(key).strip()):
        return f"{where} is not in lower case, so no message has it"
    if name == "http" and not (isinstance(key, int) and 300 <= key < 600):
        return f"{where} is no HTTP error status"
    return None


def _code_fault(table: ErrorTable) -> str | None:
    for code in table.http_codes:
        if not (isinstance(code, int) and 400 <= code < 600):
            return f"http_codes lists {code!r}, which is no HTTP error status"
    listed = set(map(str, (*table.codes, *table.http_codes)))
    both = sorted(listed & set(map(str, table.ok)))
    if both:
        return f"the code {both[0]} is both a success and a failure"
    for name, codes in (("ends_job", table.ends_job), ("doubts", table.doubts)):
        strange = sorted(set(map(str, codes)) - listed)
        if strange:
            return f"{name} lists the code {strange[0]}, for which there is no row"
    ends, lasts = set(map(str, table.ends_job)), set(map(str, (*table.no_record, *table.doubts)))
    twice = sorted(ends & lasts)
    return f"the code {twice[0]} both ends a job and only casts doubt on it" if twice else None
