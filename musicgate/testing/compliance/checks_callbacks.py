"""Callbacks: good ones are accepted, forged, stale and unsigned ones refused.

Which headers carry the signature is found out and not declared: a header belongs to it if the callback is
refused without it. Of the body only the claim matters: under a good signature a forged body must not claim
another task.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import attrs

from musicgate.errors import MusicgateError, ProviderError
from musicgate.model import JobUpdate, ProviderSettings, Secret
from musicgate.plugin import CallbackClaim, EmulatedCallback
from musicgate.testing.compliance.probes import NONSENSE
from musicgate.testing.compliance.subject import SECRET_CANARY, Skipped
from musicgate.testing.rehearsal import START_S

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from musicgate.model import MusicRequest
    from musicgate.testing.compliance.subject import Subject

_OTHER_SECRET: Final = "kit-other-test-secret-not-real"  # noqa: S105 - not a real secret
_DAY_S: Final = 86_400.0
#: Epoch seconds or milliseconds, or a time of ISO 8601, anywhere in a header.
_TIME: Final = re.compile(
    r"(?<![0-9])1[0-9]{9}(?:[0-9]{3})?(?![0-9])|[0-9]{4}-?[0-9]{2}-?[0-9]{2}T[0-9]{2}:?[0-9]{2}"
)
#: Longer bodies are flipped at every n-th byte only, so that this many are tried.
_FLIPS: Final = 1_500


@attrs.frozen(kw_only=True)
class _Call:
    """One callback as it arrives, and when."""

    headers: Mapping[str, str]
    body: bytes
    at_s: float
    native_id: str | None


def check_callbacks_come_and_are_read(subject: Subject) -> None:
    """The emulator calls back, the plugin parses it, and the claim names the job's task or none."""
    calls = _calls(subject, secret=None)
    assert calls, "Provider.callbacks is set, yet the emulator never called back while it made a song"
    for call in calls:
        claim = _claim(subject, call, _settings(subject, None))
        assert claim.native_id in {None, call.native_id}, (
            f"a callback about {call.native_id!r} is read as one about {claim.native_id!r}"
        )


def check_callback_adopts_a_job(subject: Subject) -> None:
    """A callback brings the id of a job whose create answer was lost, and the job goes on with it."""
    _skip_without_callbacks(subject)
    subject.skip_unless_polled()
    request, found = _adopting(subject)
    rehearsal, answers = subject.rehearsal()
    rehearsal.create(request)
    lost = answers[0].job
    adopted = rehearsal.finish(rehearsal.fold(lost, JobUpdate(native_id=found)))
    assert adopted.delivered_at is not None, (
        f"parse_callback gave the id {found!r} to a job without one; poll_request then did not find the song: "
        f"it ended {adopted.state} ({adopted.failure})"
    )


def _adopting(subject: Subject) -> tuple[MusicRequest, str]:
    """Return a request whose callbacks bring an id, and the id that the plugin reads."""
    shown = ""
    for request in (subject.song_request, *subject.requests):
        calls = _calls(subject, secret=None, request=request)
        assert calls, "Provider.callbacks is set, yet the emulator never called back while it made a song"
        for call in calls:
            claim = _claim(subject, call, _settings(subject, None))
            if claim.native_id is not None:
                return request, claim.native_id
        shown = shown or f"such as {calls[0].body[:200]!r}: expected the id {calls[0].native_id!r}"
    raise AssertionError(
        f"parse_callback returned native_id=None for every callback about a song, {shown}, since "
        "Provider.callbacks promises an id that adopts a job; where the vendor sends it only sometimes, name a "
        "request for which the emulator does so in `requests`"
    )


def check_unsigned_is_not_verified(subject: Subject) -> None:
    """Without a secret nothing can be verified: `verified` is None."""
    for call in _calls(subject, secret=None):
        verified = _claim(subject, call, _settings(subject, None)).verified
        assert verified is None, (
            f"no webhook secret is set, yet a callback is verified={verified}; it has to be None"
        )


def check_good_signature(subject: Subject) -> None:
    """A callback signed with the secret is verified; one signed with another secret is refused."""
    for call in _signed(subject):
        claim = _claim(subject, call, _settings(subject, SECRET_CANARY))
        assert claim.verified is True, (
            f"a callback with a good signature is verified={claim.verified}: {claim.message}"
        )
        other = _verdict(subject, call, _settings(subject, _OTHER_SECRET))
        assert other is False, (
            f"a callback that was signed with another secret is verified={other}, not False"
        )


def check_signature_headers_are_needed(subject: Subject) -> None:
    """Without its signature, a callback is refused."""
    for call in _signed(subject):
        settings = _settings(subject, SECRET_CANARY)
        bare = _verdict(subject, attrs.evolve(call, headers={}), settings)
        assert bare is False, f"a callback without any header is verified={bare}, although a secret is set"
        assert _signature_headers(subject, call), "a callback is verified, and no header is needed for it"


def check_flipped_bytes(subject: Subject) -> None:
    """A flipped byte in the signature is refused; one in the body never claims another task."""
    call = _signed(subject)[-1]
    settings = _settings(subject, SECRET_CANARY)
    for name in _signature_headers(subject, call):
        value = call.headers[name]
        for place in range(len(value)):
            forged = value[:place] + chr(ord(value[place]) ^ 1) + value[place + 1 :]
            verdict = _verdict(subject, attrs.evolve(call, headers={**call.headers, name: forged}), settings)
            assert verdict is False, (
                f"byte {place} of the header {name} was flipped, and the callback is verified={verdict}"
            )
    good = _claim(subject, call, settings)
    for place in range(0, len(call.body), len(call.body) // _FLIPS + 1):
        forged_body = call.body[:place] + bytes([call.body[place] ^ 1]) + call.body[place + 1 :]
        try:
            claim = _claim(subject, attrs.evolve(call, body=forged_body), settings)
        except ProviderError:
            continue
        same = claim.verified is False or claim.native_id == good.native_id
        assert same, (
            f"byte {place} of the body was flipped: {claim.native_id!r} is claimed under the signature of "
            f"{good.native_id!r}"
        )


def check_old_signature(subject: Subject) -> None:
    """A signature that is a day old, or a day ahead, is refused."""
    for call in _signed(subject):
        headers = [call.headers[name] for name in _signature_headers(subject, call)]
        if not any(_TIME.search(value) for value in headers):
            raise Skipped("no signature header carries a time, so its age cannot be known")
        for late_s in (_DAY_S, -_DAY_S):
            moved = attrs.evolve(call, at_s=call.at_s + late_s)
            verdict = _verdict(subject, moved, _settings(subject, SECRET_CANARY))
            assert verdict is False, (
                f"a signature that is {late_s:.0f} s old is verified={verdict}: it could be replayed for ever"
            )


def check_duplicate_callbacks(subject: Subject) -> None:
    """The same callback is parsed to the same claim each time."""
    for call in _calls(subject, secret=None):
        first, second = (_claim(subject, call, _settings(subject, None)) for _ in range(2))
        assert first == second, f"a callback was read as {first}, and the second time as {second}"


def check_garbage_callbacks(subject: Subject) -> None:
    """Garbage ends in a `ProviderError` or an unverified claim."""
    _skip_without_callbacks(subject)
    signed = [dict(call.headers) for call in _calls(subject, secret=_secret_of(subject))[:1]]
    for headers in ({}, *signed):
        for shape, body in NONSENSE.items():
            call = _Call(headers=headers, body=body, at_s=START_S, native_id=None)
            for secret in (None, _secret_of(subject)):
                try:
                    claim = _claim(subject, call, _settings(subject, secret))
                except ProviderError:
                    continue
                except MusicgateError as error:
                    message = f"{shape} as a callback's body: only ProviderError may be raised, but {error}"
                    raise AssertionError(message) from error
                assert claim.verified is not True, f"{shape} as a callback's body was verified"
                plain = claim.native_id is None or claim.native_id.strip()
                assert plain, f"{shape} as a callback's body names the task {claim.native_id!r}"


def _skip_without_callbacks(subject: Subject) -> None:
    if not subject.provider.callbacks:
        raise Skipped("the vendor cannot call back (Provider.callbacks)")


def _secret_of(subject: Subject) -> str | None:
    return SECRET_CANARY if subject.provider.webhook_secret_env else None


def _settings(subject: Subject, secret: str | None) -> ProviderSettings:
    return attrs.evolve(subject.settings, webhook_secret=Secret(secret) if secret else None)


def _claim(subject: Subject, call: _Call, settings: ProviderSettings) -> CallbackClaim:
    return subject.plugin.parse_callback(call.headers, call.body, settings, call.at_s)


def _verdict(subject: Subject, call: _Call, settings: ProviderSettings) -> bool | None:
    """Return `CallbackClaim.verified`; a callback that cannot be parsed counts as refused."""
    try:
        return _claim(subject, call, settings).verified
    except ProviderError:
        return False


def _calls(subject: Subject, *, secret: str | None, request: MusicRequest | None = None) -> list[_Call]:
    """Return every callback that the emulator makes about one job."""
    _skip_without_callbacks(subject)
    rehearsal, _ = subject.rehearsal(webhook_secret=secret)
    _ = subject.song_run
    job = rehearsal.create(request or subject.song_request)
    step_s = max(1.0, rehearsal.provider.typical_s / 20)
    found = []
    while rehearsal.now < job.deadline_at:
        for due in rehearsal.emulator.due_callbacks(rehearsal.now_s):
            found.append(_arrived(due, rehearsal.now_s, job.native_id))
            rehearsal.emulator.callback_answered(due.id, 200, rehearsal.now_s)
        rehearsal.now_s += step_s
    return found


def _arrived(due: EmulatedCallback, at_s: float, native_id: str | None) -> _Call:
    headers = {name.lower(): value for name, value in due.request.headers.items()}
    return _Call(headers=headers, body=due.request.body, at_s=at_s, native_id=native_id)


def _signed(subject: Subject) -> list[_Call]:
    """Return callbacks signed with the kit's secret.

    Raises:
        Skipped: this vendor does not sign.
    """
    _skip_without_callbacks(subject)
    if subject.provider.webhook_secret_env is None:
        raise Skipped("the vendor does not sign its callbacks (Provider.webhook_secret_env)")
    calls = _calls(subject, secret=SECRET_CANARY)
    assert calls, "the emulator never called back while it made a song, so there is no signature to check"
    return calls


def _signature_headers(subject: Subject, call: _Call) -> list[str]:
    return list(_needed(subject, call, _settings(subject, SECRET_CANARY)))


def _needed(subject: Subject, call: _Call, settings: ProviderSettings) -> Iterator[str]:
    for name in call.headers:
        others = {other: value for other, value in call.headers.items() if other != name}
        if _verdict(subject, attrs.evolve(call, headers=others), settings) is False:
            yield name
