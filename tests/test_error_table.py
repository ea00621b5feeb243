"""The procedure that reads a vendor's errors: what an answer proves, and what it may hide."""

import json
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest

from musicgate.errors import ProviderError
from musicgate.model import Failure, FailureClass, JobUpdate
from musicgate.plugin import At, ErrorTable, HttpResponse, Rule, Step, lenient

TABLE = ErrorTable(
    vendor="Tiny",
    code=At("code", "error.code"),
    text=At("msg", "error.message", "detail"),
    error=At("error"),
    task_id=At("data.id"),
    ok={200},
    codes={
        400: FailureClass.MODERATION,
        402: FailureClass.CREDITS,
        408: FailureClass.TIMEOUT,
        422: Rule(FailureClass.INVALID, keep_status=(422,)),
        429: Rule(FailureClass.RATE_LIMITED, wait_s=10.0),
        500: FailureClass.UPSTREAM_FAILED,
        501: Rule(FailureClass.UPSTREAM_FAILED, refuses=True),
        531: Rule(FailureClass.UPSTREAM_FAILED, refuses=True, refunded=True),
        "busy": FailureClass.UNAVAILABLE,
    },
    words={
        "too high": Rule(FailureClass.RATE_LIMITED, beats_codes=True),
        "required": FailureClass.INVALID,
        "policy": FailureClass.MODERATION,
    },
    http={503: FailureClass.UNAVAILABLE, 405: FailureClass.NOT_FOUND},
    job_words={
        "SENSITIVE": FailureClass.MODERATION,
        "NOT_CREATED": Rule(FailureClass.UPSTREAM_FAILED, refunded=True),
    },
    ends_job={400, 501, 531},
    no_record={404},
    doubts={408: 120.0},
)


def answer(body: object, status: int = 200, headers: dict[str, str] | None = None) -> HttpResponse:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpResponse(status=status, headers=headers or {}, body=raw)


def refused(body: object, status: int = 200, headers: dict[str, str] | None = None) -> Failure:
    update = TABLE.open(Step.CREATE, answer(body, status, headers))
    assert isinstance(update, JobUpdate)
    assert update.native_id is None
    assert update.failure is not None
    return update.failure


def error_of(body: object, status: int = 200, step: Step = Step.CREATE) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        TABLE.open(step, answer(body, status))
    return caught.value


def test_success_gives_the_body() -> None:
    body = {"code": 200, "data": {"id": "t1"}}
    assert TABLE.open(Step.CREATE, answer(body)) == body
    assert TABLE.open(Step.POLL, answer({"data": {}})) == {"data": {}}


def test_code_of_the_body_comes_before_the_http_status() -> None:
    assert refused({"code": 402}, 401).reason is FailureClass.CREDITS
    assert refused({"code": "402", "msg": "no money"}).native_message == "no money"


@pytest.mark.parametrize("status", [302, 400, 429, 500, 503])
def test_success_code_under_an_http_error_may_hide_a_song(status: int) -> None:
    error = error_of({"code": 200, "data": {"id": "t1"}}, status)
    assert error.maybe_accepted
    assert not error.retryable
    assert not error_of({"code": 200}, status, Step.POLL).maybe_accepted


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408])
@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b"[]", b'{"data":'])
def test_server_error_without_a_reason_may_hide_a_song(status: int, body: bytes) -> None:
    error = error_of(body, status)
    assert error.maybe_accepted
    assert not error.retryable


def test_server_error_whose_body_names_a_vague_reason_may_hide_a_song() -> None:
    assert error_of({"code": 500, "msg": "failed"}, 500).maybe_accepted
    assert error_of({"code": 500, "msg": "failed"}).maybe_accepted
    assert error_of({"code": 999, "msg": "failed"}, 502).maybe_accepted
    assert error_of({"msg": "failed"}, 500).maybe_accepted
    assert error_of({"msg": "against our policy"}, 500).maybe_accepted
    assert refused({"code": 4711, "msg": "against our policy"}).reason is FailureClass.MODERATION
    assert error_of({"code": 408}, 504).failure.reason is FailureClass.TIMEOUT


def test_server_error_is_a_refusal_where_the_table_says_why() -> None:
    assert refused({"code": "busy"}, 500).reason is FailureClass.UNAVAILABLE
    assert refused({"msg": "maintenance"}, 503).reason is FailureClass.UNAVAILABLE
    assert refused({"code": 501}, 500).costs
    assert refused({"code": 531}).costs is False
    assert refused({"code": 500, "msg": "title is required"}, 500).reason is FailureClass.INVALID


@pytest.mark.parametrize(
    ("status", "reason"),
    [(401, "auth"), (404, "not_found"), (405, "not_found"), (413, "invalid"), (429, "rate_limited")],
)
@pytest.mark.parametrize("body", [b"", b"<html>", b"{}"])
def test_plain_4xx_is_classified_by_its_status(status: int, reason: str, body: bytes) -> None:
    failure = refused(body, status)
    assert (failure.reason, failure.native_code) == (reason, str(status))


def test_redirect_and_unreadable_success_are_errors_about_the_vendor() -> None:
    assert error_of(b"", 302).failure.reason is FailureClass.PROTOCOL
    for body in (b"", b"<html>", b"[1]"):
        error = error_of(body)
        assert (error.failure.reason, error.maybe_accepted) == (FailureClass.PROTOCOL, True)


def test_task_id_means_accepted_whatever_else_the_body_says() -> None:
    update = TABLE.open(Step.CREATE, answer({"code": 500, "data": {"id": 7}}, 500))
    assert isinstance(update, JobUpdate)
    assert update.native_id == "7"
    assert update.failure is not None


def test_success_without_an_id_may_have_been_accepted() -> None:
    with pytest.raises(ProviderError) as caught:
        TABLE.created(answer({}), {"code": 200, "data": {"id": " "}})
    assert (caught.value.failure.reason, caught.value.maybe_accepted) == (FailureClass.PROTOCOL, True)
    assert TABLE.created(answer({}), {"data": {"id": "t"}}).native_id == "t"


def test_unknown_code_under_success_is_no_success() -> None:
    failure = refused({"code": 4711, "msg": "?"})
    assert (failure.reason, failure.native_code) == (FailureClass.UPSTREAM_FAILED, "4711")
    assert "4711" in failure.message
    assert error_of({"error": {"message": "no"}}).failure.reason is FailureClass.PROTOCOL


def test_text_is_believed_beside_a_vague_code_only() -> None:
    assert refused({"code": 402, "msg": "a card is required"}).reason is FailureClass.CREDITS
    assert refused({"code": 402, "msg": "Call frequency is TOO HIGH"}).reason is FailureClass.RATE_LIMITED


def test_retry_after_of_the_answer_beats_the_table_and_is_kept_where_a_wait_helps() -> None:
    assert refused({"code": 429}).retry_after_s == 10.0
    assert refused({"code": 429}, headers={"Retry-After": "3"}).retry_after_s == 3.0
    assert refused({"code": 402}, headers={"Retry-After": "3"}).retry_after_s is None
    with pytest.raises(ProviderError) as caught:
        TABLE.open(Step.POLL, answer(b"", 500, {"Retry-After": "3"}))
    assert caught.value.retry_after_s == 3.0


@pytest.mark.parametrize(
    ("text", "headers", "wait_s"),
    [
        ("busy until 2026-05-15T12:00:00Z", {}, 7200.0),
        ("busy until 2026-05-15T09:00:00Z", {}, 0.0),
        ("busy until 2026-05-15T12:00:00Z", {"Retry-After": "7"}, 7.0),
        ("busy until 2026-99-15T12:00:00Z", {}, 10.0),
        ("busy", {}, 10.0),
    ],
)
def test_message_may_name_the_time_until_which_a_new_call_makes_no_sense(
    text: str, headers: dict[str, str], wait_s: float
) -> None:
    table = attrs.evolve(TABLE, reset_in_text=r"until (\S+)")
    now = datetime(2026, 5, 15, 10, tzinfo=UTC)
    for code, expected in ((429, wait_s), (402, None)):
        response = attrs.evolve(answer({"code": code, "msg": text}, headers=headers), received_at=now)
        update = table.open(Step.CREATE, response)
        assert isinstance(update, JobUpdate)
        assert update.failure is not None
        assert update.failure.retry_after_s == expected


def test_status_is_kept_only_where_the_rule_names_it() -> None:
    assert refused({"code": 422}).status == 422
    assert refused({"code": 422}, 400).status == 400
    assert refused({"code": 402}, 403).status == 402


def test_message_is_cut_and_can_be_stored() -> None:
    failure = refused({"code": 402, "msg": "\ud800" + "x" * 600})
    assert failure.native_message == "?" + "x" * 499


def test_list_of_errors_becomes_one_message() -> None:
    entries = [{"loc": ["body", "prompt"], "msg": "too long", "type": "x"}, {"msg": "and more"}]
    assert refused({"detail": entries}, 422).message == "body.prompt: too long; and more"


@pytest.mark.parametrize("body", [{"code": 429}, {"code": 500}, {"code": 4711}, {"code": 402}])
def test_poll_that_says_nothing_of_the_song_is_noise(body: dict[str, Any]) -> None:
    error = error_of(body, step=Step.POLL)
    assert not error.maybe_accepted


def test_poll_ends_a_job_only_by_the_listed_codes() -> None:
    ended = TABLE.open(Step.POLL, answer({"code": 400, "msg": "copyright"}))
    assert isinstance(ended, JobUpdate)
    assert ended.failure is not None
    assert ended.failure.reason is FailureClass.MODERATION


def test_missing_record_and_doubtful_codes_have_to_last() -> None:
    for response in (answer({"code": 404}), answer({"msg": "no such task"}, 404)):
        gone = TABLE.open(Step.POLL, response)
        assert isinstance(gone, JobUpdate)
        assert gone.doubt is not None
        assert (gone.doubt.failure.reason, gone.doubt.grace_s) == (FailureClass.NOT_FOUND, 60.0)
        assert gone.failure is None
    late = TABLE.open(Step.POLL, answer({"code": 408}))
    assert isinstance(late, JobUpdate)
    assert late.doubt is not None
    assert (late.doubt.failure.reason, late.doubt.grace_s) == (FailureClass.TIMEOUT, 120.0)
    doubt = TABLE.missing({}).doubt
    assert doubt is not None
    assert doubt.failure.reason is FailureClass.NOT_FOUND


def test_404_of_a_proxy_is_noise() -> None:
    assert error_of(b"<html>", 404, Step.POLL).failure.reason is FailureClass.NOT_FOUND


def test_failed_task_is_classified_by_its_word_and_by_codes_about_tasks() -> None:
    assert TABLE.task_failure("sensitive").reason is FailureClass.MODERATION
    assert TABLE.task_failure("FAILED", 400).reason is FailureClass.MODERATION
    assert TABLE.task_failure("FAILED", 429).reason is FailureClass.UPSTREAM_FAILED
    free = TABLE.task_failure("FAILED", 531, "refunded")
    assert (free.may_have_cost, free.native_code, free.message) == (False, "531", "refunded")
    assert TABLE.task_failure("FAILED").native_code == "FAILED"
    never = TABLE.task_failure("NOT_CREATED", 400)
    assert (never.reason, never.may_have_cost) == (FailureClass.MODERATION, False)


def test_table_of_a_relative_differs_in_the_given_codes_only() -> None:
    other = TABLE.with_codes({429: FailureClass.CREDITS})
    update = other.open(Step.CREATE, answer({"code": 429}))
    assert isinstance(update, JobUpdate)
    assert update.failure is not None
    assert update.failure.reason is FailureClass.CREDITS
    assert refused({"code": 429}).reason is FailureClass.RATE_LIMITED


def test_without_ok_codes_only_a_known_code_makes_a_2xx_an_error() -> None:
    table = ErrorTable(vendor="T", code=At("status"), codes={"limited": FailureClass.FORBIDDEN})
    assert table.refusal(Step.CREATE, answer({}), {"status": "completed"}) is None
    update = table.refusal(Step.CREATE, answer({}), {"status": "limited"})
    assert update is not None
    assert update.failure is not None
    assert update.failure.reason is FailureClass.FORBIDDEN


def test_http_codes_mean_what_http_says_unless_a_row_says_otherwise() -> None:
    table = ErrorTable(
        vendor="T",
        code=At("code"),
        task_id=At("id"),
        ok={200},
        codes={402: FailureClass.FORBIDDEN},
        http={422: Rule(FailureClass.INVALID, keep_status=(422,))},
        http_codes=range(400, 504),
        ends_job={400},
        unknown=FailureClass.PROTOCOL,
    )

    def failure_of(code: int) -> Failure:
        update = table.open(Step.CREATE, answer({"code": code}))
        assert isinstance(update, JobUpdate)
        assert update.failure is not None
        return update.failure

    assert [failure_of(code).reason for code in (401, 402, 404, 418)] == [
        *(FailureClass.AUTH, FailureClass.FORBIDDEN, FailureClass.NOT_FOUND, FailureClass.INVALID),
    ]
    assert failure_of(422).http_status == 422
    hidden = []
    for code in (503, 504):  # 504 is not among them, and so is unknown
        with pytest.raises(ProviderError) as caught:
            table.open(Step.CREATE, answer({"code": code}))
        hidden.append((caught.value.failure.reason, caught.value.maybe_accepted))
    assert hidden == [(FailureClass.UPSTREAM_FAILED, True), (FailureClass.PROTOCOL, True)]


def test_place_is_read_by_the_first_value_that_the_reader_understands() -> None:
    place = At("link", "spare.0.link")
    body = {"link": "soon", "spare": [{"link": " https://a.example/1.mp3 "}]}
    assert place.read(body, lenient.url) == "https://a.example/1.mp3"
    assert place.read({"link": "soon"}, lenient.url) is None


def test_record_of_a_cancelled_task_is_read_by_the_table() -> None:
    table = ErrorTable(vendor="T", job_words={"withdrawn": FailureClass.CANCELLED})
    assert table.task_failure("Withdrawn").reason is FailureClass.CANCELLED


BAD: Any = "rate"


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"codes": {1002: BAD}}, "codes[1002] is 'rate', which is no failure class"),
        ({"http": {429: Rule(BAD)}}, "http[429] is 'rate'"),
        ({"http": {200: FailureClass.AUTH}}, "http[200] is no HTTP error status"),
        ({"words": {"Too High": FailureClass.AUTH}}, "words['Too High'] is not in lower case"),
        ({"codes": {1: FailureClass.EXPIRED}}, "codes[1] is 'expired', which no vendor can say"),
        ({"codes": {1: FailureClass.CANCELLED}}, "codes[1] is 'cancelled', which no vendor can say"),
        ({"job_words": {"x": FailureClass.EXPIRED}}, "job_words['x'] is 'expired'"),
        ({"codes": {0: FailureClass.AUTH}, "ok": {0}}, "the code 0 is both a success and a failure"),
        ({"ends_job": {7}}, "ends_job lists the code 7, for which there is no row"),
        ({"http_codes": {200}}, "http_codes lists 200, which is no HTTP error status"),
        ({"http_codes": {"404"}}, "http_codes lists '404'"),
        ({"http_codes": {404}, "ok": {404}}, "the code 404 is both a success and a failure"),
        ({"doubts": {7: 1.0}}, "doubts lists the code 7"),
        ({"reset_in_text": "until .*"}, "reset_in_text has no group"),
        (
            {"codes": {7: FailureClass.TIMEOUT}, "ends_job": {7}, "no_record": {7}},
            "the code 7 both ends a job and only casts doubt on it",
        ),
    ],
)
def test_table_that_contradicts_itself_names_the_entry(entries: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match="the error table of Tiny: ") as caught:
        ErrorTable(vendor="Tiny", **entries)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("headers", "is_whole", "is_cut"),
    [
        ({"content-length": "6"}, True, True),
        ({"content-length": "5"}, True, False),
        ({"content-length": "4"}, False, False),  # the announced length counts
        ({}, True, False),
        ({}, False, True),
        ({"content-length": "6", "content-encoding": "gzip"}, True, False),
        ({"content-length": "six"}, True, False),
        ({"content-length": "9" * 5_000}, True, True),
    ],
)
def test_answer_that_was_cut_off_hides_a_song(
    headers: dict[str, str], *, is_whole: bool, is_cut: bool
) -> None:
    response = answer(b"12345", headers=headers)
    if not is_cut:
        TABLE.refuse_cut(response, is_whole=is_whole)
        return
    with pytest.raises(ProviderError, match=r"^Tiny's answer was cut off: ") as caught:
        TABLE.refuse_cut(response, is_whole=is_whole)
    assert (caught.value.failure.reason, caught.value.maybe_accepted) == (FailureClass.UNKNOWN_OUTCOME, True)
