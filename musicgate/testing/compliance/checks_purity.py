"""Hooks are pure: no socket, clock, environment, randomness or file, and inputs are not changed."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from musicgate.errors import MusicgateError
from musicgate.plugin import EmulatorOptions, HttpResponse, Step
from musicgate.testing.compliance.guard import ImpureError, pure, snapshot
from musicgate.testing.compliance.probes import MEANINGLESS
from musicgate.testing.rehearsal import CALLBACK_URL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from musicgate.testing.compliance.subject import Subject

#: Epoch seconds at which callbacks arrive.
_NOW_S = 1_790_000_000.0


def check_hooks_are_pure(subject: Subject) -> None:
    """No hook uses the network, a clock, the environment, randomness or a file."""
    for name, call, arguments in _calls(subject):
        with pure(subject.package) as uses:
            _outcome(call, arguments)
        assert not uses, f"{name} used {uses[0]}: a hook gets everything that it may use as an argument"


def check_same_in_same_out(subject: Subject) -> None:
    """Two calls of a hook with equal arguments return equal values."""
    for name, call, arguments in _calls(subject):
        first, second = _outcome(call, arguments), _outcome(call, arguments)
        assert first == second, (
            f"{name} was called twice with equal arguments and returned {first!r:.300}, then {second!r:.300}"
        )


def check_inputs_are_left_alone(subject: Subject) -> None:
    """No hook changes its arguments."""
    for name, call, arguments in _calls(subject):
        before = snapshot(arguments)
        _outcome(call, arguments)
        after = snapshot(arguments)
        assert before == after, f"{name} changed its arguments from {before!r:.300} to {after!r:.300}"


def check_emulator_is_pure(subject: Subject) -> None:
    """The emulator gets the time as an argument, and uses no randomness, socket or environment."""
    request = subject.emulated_run.translation.request
    with pure(subject.package, files=True) as uses, suppress(ImpureError):
        emulator = subject.plugin.emulator(EmulatorOptions(seed=1))
        emulator.answer(request, _NOW_S)
        emulator.due_callbacks(_NOW_S + 60)
    assert not uses, f"the emulator used {uses[0]}: time comes in as an argument, randomness from the seed"


def _outcome(call: Callable[..., object], arguments: Mapping[str, object]) -> object:
    """Return what a call returned or raised, as plain data."""
    try:
        return snapshot(call(**arguments))
    except MusicgateError as error:
        return (type(error).__name__, str(error), snapshot(getattr(error, "failure", None)))


def _calls(subject: Subject) -> Iterator[tuple[str, Callable[..., object], Mapping[str, object]]]:
    """Yield one call of each kind that the gateway makes, with real arguments."""
    plugin, settings = subject.plugin, subject.settings
    for offer, request, _ in subject.base:
        arguments = {"request": request, "offer": offer, "settings": settings, "callback_url": CALLBACK_URL}
        yield f"translate_request for {offer.model}", plugin.translate, arguments
    answers = subject.emulated_run.answers if hasattr(subject.module, "emulator") else ()
    for answer in answers:
        arguments = {
            "step": answer.step,
            "response": answer.response,
            "job": answer.job,
            "settings": settings,
        }
        yield f"parse_response at step {answer.step}", plugin.parse, arguments
    for case in subject.cases or ():
        if answers:
            arguments = {
                "step": case.step,
                "response": case.response,
                "job": answers[-1].job,
                "settings": settings,
            }
            yield f"parse_response of the case {case.name}", plugin.parse, arguments
    if answers:
        for body in MEANINGLESS.values():
            response = HttpResponse(status=500, body=body)
            arguments = {
                "step": Step.CREATE,
                "response": response,
                "job": answers[0].job,
                "settings": settings,
            }
            yield "parse_response of a hostile answer", plugin.parse, arguments
        yield "poll_request", plugin.poll, {"job": answers[-1].job, "settings": settings}
        yield "cancel_request", plugin.cancel, {"job": answers[-1].job, "settings": settings}
    for status in ("queued", "success", "kit never heard of this"):
        yield f"map_status({status!r})", plugin.map_status, {"native_status": status}
    if subject.provider.callbacks:
        arguments = {"headers": {"x-kit": "1"}, "body": b'{"kit": 1}', "settings": settings, "now": _NOW_S}
        yield "parse_callback", plugin.parse_callback, arguments
