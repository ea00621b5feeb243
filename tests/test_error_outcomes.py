"""Errors in the place of a song, and errors that are a bare list."""

import json

import pytest

from musicgate.errors import ProviderError
from musicgate.plugin import At, ErrorTable, FailureClass, HttpResponse, JobUpdate, Rule, Step

TABLE = ErrorTable(
    vendor="Acme",
    code=At("type", "0.type"),
    text=At("detail", "0.msg"),
    codes={"blocked": FailureClass.MODERATION},
    words={"not ready": Rule(FailureClass.UNAVAILABLE)},
    no_record={404},
    free_server_errors=True,
)


def answer(status: int, body: object) -> HttpResponse:
    content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return HttpResponse(status=status, body=content)


@pytest.mark.parametrize(
    ("status", "body", "reason", "may_cost"),
    [
        (422, {"type": "blocked", "detail": "no"}, FailureClass.MODERATION, None),
        (422, [{"type": "blocked", "msg": "no"}], FailureClass.MODERATION, None),
        (422, {"type": "unheard of", "detail": "no"}, FailureClass.INVALID, None),
        (422, {"detail": "English, please"}, FailureClass.INVALID, None),
        (500, {"type": "unheard of", "detail": "no"}, FailureClass.UPSTREAM_FAILED, False),
    ],
)
def test_the_vendors_own_error_in_the_place_of_a_song_ends_the_job(
    status: int, body: object, reason: FailureClass, may_cost: bool | None
) -> None:
    update = TABLE.open(Step.NEXT, answer(status, body), is_outcome=True)
    assert isinstance(update, JobUpdate)
    assert update.failure is not None
    assert (update.failure.reason, update.failure.may_have_cost) == (reason, may_cost)
    with pytest.raises(ProviderError):  # the same about a record is noise
        TABLE.open(Step.POLL, answer(status, body))


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (504, "<html>"), (500, {"detail": "Internal Server Error"}), (200, ""), (200, "[]"), (408, {"detail": "late"}),
        (401, {"detail": "no key"}), (403, {"detail": "no"}), (429, {"detail": "slow"}), (400, {"detail": "not ready"}),
        (400, "<html>"), (422, {}),
    ],
)  # fmt: skip
def test_errors_about_the_call_and_of_a_proxy_are_noise(status: int, body: object) -> None:
    with pytest.raises(ProviderError):
        TABLE.open(Step.NEXT, answer(status, body), is_outcome=True)


def test_no_such_task_is_doubted_in_the_place_of_a_song_too() -> None:
    update = TABLE.open(Step.NEXT, answer(404, {"detail": "no such task"}), is_outcome=True)
    assert isinstance(update, JobUpdate)
    assert (update.failure, update.doubt is None) == (None, False)


def test_a_list_of_errors_refuses_a_create_call() -> None:
    update = TABLE.open(Step.CREATE, answer(422, [{"loc": ["body", "x"], "msg": "too long", "type": "y"}]))
    assert isinstance(update, JobUpdate)
    assert update.failure is not None
    assert (update.failure.reason, update.failure.native_code) == (FailureClass.INVALID, "y")
    assert update.failure.native_message == "too long"
