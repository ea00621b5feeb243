import re

import pytest

from musicgate import errors
from musicgate.errors import (
    AllCandidatesFailedError,
    ConfigError,
    InvalidRequestError,
    JobNotFoundError,
    MusicgateError,
    PluginError,
    ProviderError,
    UnauthorisedError,
    UnsupportedOptionError,
    Violation,
)
from musicgate.model import Failure, FailureClass
from musicgate.model.failure import RULES, Attribution, Cost

#: AllCandidatesFailedError is a ProviderError that only the gateway raises; the docstring names what callers handle.
UNDRAWN = {"AllCandidatesFailedError"}


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
    real = real_tree()
    assert drawn_tree() == {name: parent for name, parent in real.items() if name not in UNDRAWN}
    assert real.keys() >= UNDRAWN


def test_every_error_has_an_ending_that_says_so() -> None:
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
        (UnsupportedOptionError(("suno", "personaId"), "cannot be told"), "suno.personaId: cannot be told"),
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
def test_invalid_request_tells_its_first_violation(path: tuple[str | int, ...], message: str) -> None:
    first = Violation(path=path, message="must be text", keyword="type", code="invalid_type")
    error = InvalidRequestError(
        [first, Violation(path=("b",), message="x", keyword="type", code="invalid_type")]
    )
    assert (str(error), error.code, error.path, error.reason) == (message, "validation_error", path, None)
    assert [violation.path for violation in error.violations] == [path, ("b",)]


def test_request_errors_carry_the_contracts_words() -> None:
    unsupported = UnsupportedOptionError(("suno", "personaId"), "cannot be told")
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
def test_call_that_may_have_been_taken_is_never_retryable(reason: FailureClass, *, maybe: bool) -> None:
    error = ProviderError(Failure(reason=reason, message="x"), maybe_accepted=maybe)
    expected = reason in {FailureClass.RATE_LIMITED, FailureClass.UNAVAILABLE} and not maybe
    assert error.retryable is expected


def test_wait_comes_from_the_failure() -> None:
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
def test_what_a_class_of_failure_allows(reason: FailureClass) -> None:
    rule = RULES[reason]
    said = (rule.http_status, rule.resend, rule.try_next, rule.cost, rule.attribution)
    assert said == TABLE[reason]
    assert not (rule.cost is not Cost.NO and (rule.resend or rule.try_next))


def test_vendors_status_and_word_about_cost_beat_the_table() -> None:
    failure = Failure(reason=FailureClass.FORBIDDEN, message="x", http_status=402, may_have_cost=True)
    assert (failure.status, failure.costs) == (402, True)
    refunded = Failure(reason=FailureClass.PROTOCOL, message="x", may_have_cost=False)
    assert (refunded.status, refunded.costs) == (502, False)
