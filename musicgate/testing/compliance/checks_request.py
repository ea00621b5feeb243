"""What a plugin sends: well-formed requests, to the base URL, without any secret."""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import attrs

from musicgate.errors import ProviderError, RequestError
from musicgate.model import AttemptOutcome
from musicgate.testing.compliance.probes import json_of
from musicgate.testing.compliance.subject import BASE_URL, SECRET_CANARY, Skipped
from musicgate.testing.rehearsal import CALLBACK_URL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from musicgate.model import Job
    from musicgate.plugin import HttpRequest
    from musicgate.testing.compliance.subject import Subject

_OTHER_BASE: Final = "https://proxy.example/vendor/v9"
_URL_CHARS: Final = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")
#: An id that breaks a URL unless it is percent-encoded.
_ODD_ID: Final = "kit/../id?a=b&c#d é%2F"


def check_request_form(subject: Subject) -> None:
    """Every create request is well-formed, under the base URL, with a JSON body where it says JSON."""
    for base_url in (BASE_URL, _OTHER_BASE):
        settings = attrs.evolve(subject.settings, base_url=base_url)
        for offer, request, _ in subject.base:
            translation = subject.plugin.translate(request, offer, settings, CALLBACK_URL)
            _assert_form(f"translate_request for {offer.model}", translation.request, base_url)
            assert translation.request.method != "GET", (
                "translate_request makes a GET: a create call changes something"
            )
            assert translation.native_model.strip(), (
                f"translate_request for {offer.model} names no native model"
            )


def check_follow_up_form(subject: Subject) -> None:
    """Poll and cancel requests are well-formed, under the base URL, and encode the native id."""
    subject.skip_unless_polled()
    job = _with_native_id(subject.created_job, _ODD_ID)
    for base_url in (BASE_URL, _OTHER_BASE):
        settings = attrs.evolve(subject.settings, base_url=base_url)
        poll = subject.plugin.poll(job, settings)
        assert poll is not None, (
            "poll_request returns None for a job with a native id: it would stay open until its deadline "
            "(declare the provider as blocking if the create call lasts as long as the song)"
        )
        for hook, request in (
            ("poll_request", poll),
            ("cancel_request", subject.plugin.cancel(job, settings)),
        ):
            if request is not None:
                _assert_form(hook, request, base_url)
                raw = any(_ODD_ID in text for text in (request.url, urlsplit(request.url).fragment))
                broken = raw or urlsplit(request.url).fragment or "/../" in request.url
                assert not broken, (
                    f"{hook} puts the native id {_ODD_ID!r} into the URL as it is: {request.url}"
                )


def check_blocking_is_not_polled(subject: Subject) -> None:
    """A blocking provider has no poll request: its create call is the song."""
    if subject.can_poll:
        raise Skipped("the provider is not blocking")
    job = _with_native_id(subject.emulated_run.answers[0].job, "kit-id")
    assert subject.plugin.poll(job, subject.settings) is None, (
        "Provider.blocking is set, yet poll_request returns a request"
    )


def check_callback_url_is_sent(subject: Subject) -> None:
    """A vendor that can call back gets the callback URL; without one the translation works as well."""
    if not subject.provider.callbacks:
        raise Skipped("the vendor cannot call back (Provider.callbacks)")
    sent = set()
    for offer, request, translation in subject.base:
        if CALLBACK_URL in translation.request.url or CALLBACK_URL.encode() in translation.request.body:
            sent.add(offer.model)
        bare = subject.translate(request, offer, callback_url=None)
        leaked = CALLBACK_URL.encode() in bare.request.body or "None" in bare.request.url
        assert not leaked, f"without a callback URL the native request for {offer.model} still holds one"
    missing = [offer.model for offer in subject.provider.offers if offer.model in _models(subject) - sent]
    assert not missing, (
        f"Provider.callbacks is set, yet the native request for {missing[0]} does not hold the callback URL "
        f"{CALLBACK_URL}"
    )


def check_no_secret_leaves(subject: Subject) -> None:
    """No secret is in a native request, a warning, a refusal or a `repr`; the gateway adds the key."""
    auth_header = subject.provider.auth.header.lower()
    for where, request in _requests(subject):
        names = {name.lower() for name in request.headers}
        assert auth_header not in names, (
            f"{where} sets the header {subject.provider.auth.header}: the gateway adds the key when it sends"
        )
        held = [
            request.url,
            *request.headers.values(),
            request.body.decode("utf-8", "replace"),
            repr(request),
        ]
        assert not _leaks(held), f"{where} holds a secret of the settings"
    for offer, neutral, translation in subject.base:
        shown = [repr(translation), *(warning.message for warning in translation.warnings)]
        assert not _leaks(shown), f"a warning of translate_request for {offer.model} shows a secret"
        long = attrs.evolve(neutral, prompt="kit " * 20_000)
        try:
            subject.translate(long, offer)
        except RequestError as error:
            assert not _leaks([str(error)]), (
                f"a refusal of translate_request for {offer.model} shows a secret"
            )


def check_no_secret_is_shown(subject: Subject) -> None:
    """No secret is in a log line, in a parsed answer, or in the claim or error of a callback."""
    settings, lines = subject.settings, list[str]()
    with _capturing_logs(lines):
        for offer, request, _ in subject.base:
            subject.translate(request, offer)
        for answer in subject.emulated_run.answers:
            lines.append(repr(subject.plugin.parse(answer.step, answer.response, answer.job, settings)))
        if subject.provider.callbacks:
            for headers in ({}, {"x-kit": "1"}):
                try:
                    claim = subject.plugin.parse_callback(headers, b'{"kit": 1}', settings, 0.0)
                    lines.append(repr(claim))
                except ProviderError as error:
                    lines.append(str(error))
    leaks = [line for line in lines if SECRET_CANARY in line]
    assert not leaks, f"a hook shows a secret of the settings: {leaks[0].replace(SECRET_CANARY, '***')[:200]}"


@contextmanager
def _capturing_logs(lines: list[str]) -> Iterator[None]:
    """Append every log line of every level to the list, while the block runs."""
    handler = logging.Handler(level=logging.NOTSET)
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.NOTSET)
    try:
        yield
    finally:
        root.setLevel(level)
        root.removeHandler(handler)


def _leaks(shown: list[str]) -> bool:
    return any(SECRET_CANARY in text for text in shown)


def _models(subject: Subject) -> set[str]:
    return {offer.model for offer, _, _ in subject.base}


def _requests(subject: Subject) -> Iterator[tuple[str, HttpRequest]]:
    for offer, _, translation in subject.base:
        yield f"translate_request for {offer.model}", translation.request
    if subject.can_poll:
        job = _with_native_id(subject.created_job, "kit-id")
        follow_ups = {
            "poll_request": subject.plugin.poll(job, subject.settings),
            "cancel_request": subject.plugin.cancel(job, subject.settings),
        }
        yield from ((hook, request) for hook, request in follow_ups.items() if request is not None)


def _with_native_id(job: Job, native_id: str) -> Job:
    attempt = job.attempts[-1]
    known = attrs.evolve(attempt, native_id=native_id, outcome=AttemptOutcome.ACCEPTED)
    return attrs.evolve(job, attempts=(*job.attempts[:-1], known))


def _assert_form(where: str, request: HttpRequest, base_url: str) -> None:
    url, method = request.url, request.method
    assert url.startswith(f"{base_url}/"), (
        f"{where} goes to {url}, which is not under the base URL {base_url}"
    )
    assert _URL_CHARS.fullmatch(url), f"{where}: {url!r} holds characters that no URL may hold"
    assert method in {"GET", "POST", "PUT", "PATCH", "DELETE"}, f"{where} uses the method {method!r}"
    assert not (method == "GET" and request.body), f"{where} is a GET with a body"
    for name, value in request.headers.items():
        plain = value.isascii() and value.isprintable()
        assert plain, f"{where}: the header {name} holds characters that no header may hold"
    kind = next((value for name, value in request.headers.items() if name.lower() == "content-type"), "")
    assert kind or not request.body, f"{where} sends a body without a Content-Type"
    if "json" in kind:
        assert json_of(request.body) is not None, f"{where} says {kind}, and its body is no JSON"
