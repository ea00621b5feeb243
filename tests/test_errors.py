import re
from datetime import UTC, datetime
from typing import Any

import pytest

from musicgate import errors
from musicgate.errors import (
    AllCandidatesFailedError,
    ConfigError,
    GatewayClosedError,
    InvalidRequestError,
    JobNotFoundError,
    LimitReachedError,
    MusicgateError,
    NotAudioError,
    PluginError,
    ProviderError,
    RequestError,
    StorageError,
    UnauthorisedError,
    UnsupportedOptionError,
    Violation,
)
from musicgate.model import Failure, FailureClass
from musicgate.model.failure import RULES, Attribution, Cost
from musicgate.views.errors import render_envelope, render_error


def drawn_tree() -> dict[str, str]:
    """Child to parent, as the module's docstring draws it."""
    parents: dict[str, str] = {}
    branch: dict[int, str] = {0: "MusicgateError"}
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"([│ ]*)[├└]── (\w+)", line)
        if found:
            depth = len(found[1]) // 4 + 1
            branch[depth] = found[2]
            parents[found[2]] = branch[depth - 1]
    return parents


def real_tree() -> dict[str, str]:
    return {
        name: kind.__mro__[1].__name__
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, MusicgateError) and kind is not MusicgateError
    }


def test_tree_in_the_docstring_is_the_tree_of_classes() -> None:
    assert drawn_tree() == real_tree()


def test_names_of_errors_end_in_error() -> None:
    assert all(name.endswith("Error") for name in real_tree())


NO = Failure(reason=FailureClass.RATE_LIMITED, message="slow down", retry_after_s=7)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            ConfigError("must be text", key="server.host", source="a.toml"),
            "server.host in a.toml: must be text",
        ),
        (ConfigError("must be text", key="server.host"), "server.host: must be text"),
        (ConfigError("is not TOML"), "is not TOML"),
        (PluginError("one", "offers no model"), "plugin one: offers no model"),
        (
            UnsupportedOptionError(("suno", "personaId"), "is not supported"),
            "suno.personaId: is not supported",
        ),
        (UnauthorisedError("key_expired", "this key has expired"), "this key has expired"),
        (JobNotFoundError("music_1"), "no music job 'music_1' in this account"),
        (ProviderError(NO), "slow down"),
        (AllCandidatesFailedError([("one", NO)]), "slow down"),
    ],
)
def test_message(error: Exception, message: str) -> None:
    assert str(error) == message


@pytest.mark.parametrize(
    ("path", "message"), [(("suno", "x", 0), "must be text at suno.x.0"), ((), "must be text")]
)
def test_message_of_an_invalid_request_is_its_first_violation(
    path: tuple[str | int, ...], message: str
) -> None:
    first = Violation(path=path, message="must be text", keyword="type", code="invalid_type")
    error = InvalidRequestError(
        [first, Violation(path=("b",), message="x", keyword="type", code="invalid_type")]
    )
    assert (str(error), error.code, error.path) == (message, "validation_error", path)
    assert error.reason == "invalid_type"
    assert [violation.path for violation in error.violations] == [path, ("b",)]


def test_request_errors_carry_code_and_reason_of_the_contract() -> None:
    unsupported = UnsupportedOptionError(("suno", "personaId"), "is not supported")
    assert (unsupported.code, unsupported.reason) == ("not_supported", "unsupported_option")
    assert unsupported.path == ("suno", "personaId")
    unauthorised = UnauthorisedError("key_expired", "expired")
    assert (unauthorised.code, unauthorised.reason) == ("unauthorised", "key_expired")
    missing = JobNotFoundError("music_1")
    assert (missing.code, missing.reason, missing.job_id) == (
        "not_found",
        "music_not_found_or_not_owned",
        "music_1",
    )


@pytest.mark.parametrize("reason", FailureClass)
@pytest.mark.parametrize("maybe", [True, False])
def test_call_that_may_have_been_accepted_is_never_retryable(reason: FailureClass, *, maybe: bool) -> None:
    error = ProviderError(Failure(reason=reason, message="x"), maybe_accepted=maybe)
    expected = reason in {FailureClass.RATE_LIMITED, FailureClass.UNAVAILABLE} and not maybe
    assert error.retryable is expected


def test_retry_after_of_a_provider_error_is_its_failures() -> None:
    assert ProviderError(NO, status=429).retry_after_s == 7


#: Status, resend, try next, cost, attribution: the table of the provider reference.
TABLE = {
    FailureClass.AUTH: (401, False, True, Cost.NO, Attribution.UPSTREAM),
    FailureClass.FORBIDDEN: (403, False, True, Cost.NO, Attribution.UPSTREAM),
    FailureClass.CREDITS: (402, False, True, Cost.NO, Attribution.UPSTREAM),
    FailureClass.RATE_LIMITED: (429, True, True, Cost.NO, Attribution.UPSTREAM),
    FailureClass.INVALID: (400, False, False, Cost.NO, Attribution.USER),
    FailureClass.MODERATION: (400, False, False, Cost.PERHAPS, Attribution.USER),
    FailureClass.UNSUPPORTED: (400, False, False, Cost.NO, Attribution.USER),
    FailureClass.NOT_FOUND: (404, False, False, Cost.NO, Attribution.UPSTREAM),
    FailureClass.CONFLICT: (409, False, False, Cost.NO, Attribution.UPSTREAM),
    FailureClass.UNAVAILABLE: (503, True, True, Cost.NO, Attribution.UPSTREAM),
    FailureClass.UPSTREAM_FAILED: (502, False, False, Cost.PERHAPS, Attribution.UPSTREAM),
    FailureClass.TIMEOUT: (504, False, False, Cost.PERHAPS, Attribution.UPSTREAM),
    FailureClass.PROTOCOL: (502, False, False, Cost.YES, Attribution.UPSTREAM),
    FailureClass.UNKNOWN_OUTCOME: (502, False, False, Cost.YES, Attribution.UPSTREAM),
    FailureClass.EXPIRED: (504, False, False, Cost.YES, Attribution.UPSTREAM),
    FailureClass.CANCELLED: (409, False, False, Cost.PERHAPS, Attribution.USER),
    FailureClass.GATEWAY: (500, False, False, Cost.PERHAPS, Attribution.UPSTREAM),
}


@pytest.mark.parametrize("reason", FailureClass)
def test_rule_of_a_failure_class(reason: FailureClass) -> None:
    rule = RULES[reason]
    row = (rule.http_status, rule.resend, rule.try_next, rule.cost, rule.attribution)
    assert row == TABLE[reason]
    assert not (rule.cost is not Cost.NO and (rule.resend or rule.try_next))


def test_status_and_cost_that_a_vendor_states_beat_the_table() -> None:
    failure = Failure(reason=FailureClass.FORBIDDEN, message="x", http_status=402, may_have_cost=True)
    assert (failure.status, failure.costs) == (402, True)
    refunded = Failure(reason=FailureClass.PROTOCOL, message="x", may_have_cost=False)
    assert (refunded.status, refunded.costs) == (502, False)


def test_only_a_fault_of_the_gateway_is_no_upstream_error() -> None:
    assert {reason for reason, rule in RULES.items() if rule.code == "gateway_error"} == {
        FailureClass.GATEWAY
    }
    assert {rule.code for rule in RULES.values()} == {"gateway_error", "upstream_error"}


# --- over HTTP, in the CLI ---

AT = datetime(2026, 11, 20, 10, 0, 0, 123_456, tzinfo=UTC)
WRONG = Violation(
    path=("a", 1), message="must be text", keyword="type", code="invalid_type", params={"type": "string"}
)
WRONG_JSON = {
    "message": "must be text",
    "path": ["a", 1],
    "keyword": "type",
    "code": "invalid_type",
    "params": {"type": "string"},
}
REFUSED = Failure(
    reason=FailureClass.MODERATION,
    message="no",
    native_code="413",
    native_message="rude",
    suggestion={"prompt": "x"},
)
LOST = StorageError("/var/lib/musicgate is full", maybe_stored=True)


@pytest.mark.parametrize(
    ("error", "status", "body", "attribution", "exit_code"),
    [
        (
            ConfigError("must be text", key="a.b"),
            500,
            {
                "error": "gateway_error",
                "description": "the gateway failed: a.b: must be text",
                "error_type": "system",
            },
            "upstream",
            3,
        ),
        (
            PluginError("one", "broke"),
            500,
            {
                "error": "gateway_error",
                "description": "the gateway failed: plugin one: broke",
                "error_type": "system",
            },
            "upstream",
            1,
        ),
        (
            NotAudioError("cut"),
            500,
            {"error": "gateway_error", "description": "the gateway failed: cut", "error_type": "system"},
            "upstream",
            1,
        ),
        (
            GatewayClosedError(),
            503,
            {
                "error": "gateway_error",
                "description": "the gateway is closed; nothing was stored or sent",
                "error_type": "system",
            },
            "upstream",
            1,
        ),
        (
            StorageError("/var/lib/musicgate is full"),
            500,
            {
                "error": "gateway_error",
                "description": "the gateway's own store failed; nothing was stored, and nothing was sent",
                "error_type": "system",
            },
            "upstream",
            1,
        ),
        (
            StorageError("PostgreSQL is starting or stopping", is_away=True),
            503,
            {
                "error": "gateway_error",
                "description": (
                    "the gateway's own store does not answer at the moment; nothing was stored, and nothing"
                    " was sent"
                ),
                "error_type": "system",
            },
            "upstream",
            1,
        ),
        (
            StorageError("the answer was lost", is_away=True, maybe_stored=True),
            500,
            {
                "error": "gateway_error",
                "description": (
                    "the gateway's own store failed, and the request may have been stored and sent: look for"
                    " its job before you send it again, or repeat it with the same Idempotency-Key"
                ),
                "error_type": "system",
            },
            "upstream",
            1,
        ),
        (
            RequestError("not_supported", "already over", reason="already_final", http_status=409),
            409,
            {
                "error": "not_supported",
                "reason": "already_final",
                "description": "already over",
                "error_type": "user",
            },
            "user",
            2,
        ),
        (
            RequestError("gateway_error", "too many", http_status=503),
            503,
            {"error": "gateway_error", "description": "too many", "error_type": "system"},
            "upstream",
            2,
        ),
        (
            RequestError("validation_error", "is too long", path=("suno", "style")),
            400,
            {"error": "validation_error", "description": "suno.style: is too long", "error_type": "user"},
            "user",
            2,
        ),
        (
            RequestError("validation_error", "suno.style is too long", path=("suno", "style")),
            400,
            {"error": "validation_error", "description": "suno.style is too long", "error_type": "user"},
            "user",
            2,
        ),
        (
            InvalidRequestError([WRONG], left_out=1_200, is_counted=False),
            400,
            {
                "error": "validation_error",
                "reason": "invalid_type",
                "description": "must be text at a.1",
                "error_type": "user",
                "details": [
                    WRONG_JSON,
                    {
                        "message": "and at least 1,200 more",
                        "path": [],
                        "keyword": "left_out",
                        "code": "left_out",
                        "params": {"left_out": 1_200},
                    },
                ],
            },
            "user",
            2,
        ),
        (
            UnauthorisedError("key_expired", "this key has expired"),
            401,
            {
                "error": "unauthorised",
                "reason": "key_expired",
                "description": "this key has expired",
                "error_type": "user",
            },
            "user",
            2,
        ),
        (
            LimitReachedError("requests_per_minute", "too many", reset_at=AT, retry_after_s=3.0),
            429,
            {
                "error": "key_limit_exceeded",
                "reason": "requests_per_minute",
                "description": "too many",
                "error_type": "system",
                "reset_at": "2026-11-20T10:00:00.123Z",
            },
            "user",
            2,
        ),
        (
            LimitReachedError("daily_spend", "too dear", reset_at=AT, min_usd=0.06),
            402,
            {
                "error": "insufficient_funds",
                "reason": "daily_spend",
                "description": "too dear",
                "error_type": "user",
                "reset_at": "2026-11-20T10:00:00.123Z",
                "min_usd": 0.06,
            },
            "user",
            2,
        ),
        (
            JobNotFoundError("music_1"),
            404,
            {
                "error": "not_found",
                "reason": "music_not_found_or_not_owned",
                "description": "no music job 'music_1' in this account",
                "error_type": "user",
                "music_id": "music_1",
            },
            "user",
            2,
        ),
        (
            ProviderError(REFUSED, status=200),
            400,
            {
                "error": "upstream_error",
                "reason": "moderation",
                "description": "no",
                "error_type": "system",
                "native_code": "413",
                "native_message": "rude",
                "suggestion": {"prompt": "x"},
            },
            "user",
            1,
        ),
        (
            AllCandidatesFailedError([(name, NO) for name in ("a", "b", "c", "d")]),
            502,
            {
                "error": "upstream_error",
                "reason": "all_candidates_failed",
                "description": "no provider could be called: slow down",
                "error_type": "system",
                "attempt_count": 4,
                "failed_providers": ["a", "b", "c", "d"],
                "failed_statuses": [429, 429, 429, 429],
                "failed_samples": [
                    {"provider_plugin": name, "status": 429, "message": "slow down"}
                    for name in ("a", "b", "c")
                ],
            },
            "upstream",
            3,
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_error_over_http_and_in_the_command_line(
    error: MusicgateError, status: int, body: dict[str, Any], attribution: str, exit_code: int
) -> None:
    answer = render_error("G-1", error)
    ids = {"generation_id": "G-1", "request_id": "G-1", "status_code": status}
    assert (answer.status, answer.body) == (status, {**body, **ids})
    first = [key for key in body if key in {"error", "reason", "description"}]
    rest = [key for key in body if key not in {*first, "error_type"}]
    assert list(answer.body) == [*first, *ids, "error_type", *rest]
    assert answer.headers["X-Gateway-Error-Attribution"] == attribution
    assert error.exit_code == exit_code


def test_lost_write_advises_to_look_for_the_job() -> None:
    description = str(render_error("G-1", LOST).body["description"])
    assert "may have been stored and sent" in description
    assert "/var/lib" not in description


def test_retry_after_is_sent_with_429_and_503_only() -> None:
    waits = {
        status: render_envelope("G-1", "gateway_error", "x", status=status, retry_after_s=0.2).headers.get(
            "Retry-After"
        )
        for status in (402, 429, 500, 503)
    }
    assert waits == {402: None, 429: "1", 500: None, 503: "1"}
    assert render_error("G-1", GatewayClosedError()).headers["Retry-After"] == "5"


def test_answer_without_a_key_names_the_scheme() -> None:
    headers = render_error("G-1", UnauthorisedError("key_expired", "x")).headers
    assert headers["WWW-Authenticate"] == "Bearer"


def test_unknown_error_code_is_a_mistake_of_the_code_that_raises_it() -> None:
    with pytest.raises(ValueError, match="'wobble' is not an error code"):
        RequestError("wobble", "x")
