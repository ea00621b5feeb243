"""Faults of the emulator."""

import itertools
import time
from collections.abc import Callable
from typing import Any

import attrs

from musicgate.emulation.tones import AudioFormat, Container, song
from musicgate.model import FailureClass, JobUpdate
from musicgate.plugin import EmulatedAnswer, EmulatorOptions, HttpRequest, HttpResponse, Step
from tests.compliance import broken
from tests.compliance.fault import Fault, fault
from tests.compliance.tiny_plugin import tiny
from tests.compliance.tiny_vendor import TinyVendor

_COUNT = itertools.count()


class _ReadsTheClock(TinyVendor):
    def answer(self, request: HttpRequest, now: float) -> EmulatedAnswer:
        return super().answer(request, time.time() if now == 0 else max(now, time.time() * 0))


class _Random(TinyVendor):
    def answer(self, request: HttpRequest, now: float) -> EmulatedAnswer:
        answer = super().answer(request, now)
        headers = {**answer.response.headers, "X-Call": str(next(_COUNT))}
        return attrs.evolve(answer, response=attrs.evolve(answer.response, headers=headers))


class _Silent(TinyVendor):
    """Its media is a body of the right length that is no audio."""

    def answer(self, request: HttpRequest, now: float) -> EmulatedAnswer:
        answer = super().answer(request, now)
        if "/media/" not in request.url:
            return answer
        body = b"\x00" * 2_000
        return attrs.evolve(
            answer, response=HttpResponse(status=200, headers={"Content-Length": "2000"}, body=body)
        )


class _TakesAnyKey(TinyVendor):
    def answer(self, request: HttpRequest, now: float) -> EmulatedAnswer:
        return super().answer(attrs.evolve(request, headers={"Authorization": "Bearer test"}), now)


class _ChargesTwice(TinyVendor):
    def answer(self, request: HttpRequest, now: float) -> EmulatedAnswer:
        before = len(self.books.creates)
        answer = super().answer(request, now)
        self.books.creates.extend(self.books.creates[before:])
        return answer


class _NeverFails(TinyVendor):
    def _shown(self, task: Any, now: float, host: str) -> dict[str, object]:
        return super()._shown(attrs.evolve(task, fails=False), now, host)


class _AtOnce(TinyVendor):
    def _shown(self, task: Any, now: float, host: str) -> dict[str, object]:
        return super()._shown(task, now + 3_600, host)


class _UnknownStatus(TinyVendor):
    def _shown(self, task: Any, now: float, host: str) -> dict[str, object]:
        shown = super()._shown(task, now, host)
        return {**shown, "status": "tuning"} if shown["status"] == "working" else shown


def _no_length(request: HttpRequest, response: HttpResponse, vendor: TinyVendor) -> HttpResponse:
    return attrs.evolve(response, headers={"Content-Type": "audio/wav"})


def _any_route(request: HttpRequest, response: HttpResponse, vendor: TinyVendor) -> HttpResponse:
    return attrs.evolve(response, status=200) if response.status == 404 else response


def _all_invalid(step: Step, response: HttpResponse, read: Any) -> Any:
    if isinstance(read, JobUpdate) and read.failure is not None:
        return attrs.evolve(read, failure=attrs.evolve(read.failure, reason=FailureClass.INVALID))
    return read


def _no_vendor() -> object:
    return object()


class _Forever(TinyVendor):
    def _shown(self, task: Any, now: float, host: str) -> dict[str, object]:
        return {"id": task.id, "status": "working"}


class _Hangs(TinyVendor):
    def _shown(self, task: Any, now: float, host: str) -> dict[str, object]:
        shown = super()._shown(task, now, host)
        return {**shown, "status": "working"} if task.fails else shown


def _slower() -> type[TinyVendor]:
    made = itertools.count(1)

    class Slower(TinyVendor):
        def __init__(self, options: EmulatorOptions) -> None:
            super().__init__(options)
            self._late_s = 60.0 * next(made)

        def _shown(self, task: Any, now: float, host: str) -> dict[str, object]:
            return super()._shown(task, now - self._late_s, host)

    return Slower


def _a_blink(request: HttpRequest, response: HttpResponse, vendor: TinyVendor) -> HttpResponse:
    sound = song(AudioFormat(container=Container.WAV, sample_rate_hz=8_000, channels=1), 0.1)
    return attrs.evolve(response, body=sound) if "/media/" in request.url else response


def _media(**changes: Any) -> Callable[[HttpRequest, HttpResponse, TinyVendor], HttpResponse]:
    return lambda request, response, _vendor: (
        attrs.evolve(response, **changes) if "/media/" in request.url else response
    )


def _links_elsewhere(request: HttpRequest, response: HttpResponse, vendor: TinyVendor) -> HttpResponse:
    return attrs.evolve(
        response, body=response.body.replace(b"http://127.0.0.1:1/media", b"https://cdn.example")
    )


def _no_type(request: HttpRequest, response: HttpResponse, vendor: TinyVendor) -> HttpResponse:
    return attrs.evolve(response, headers={"Content-Length": str(len(response.body))})


def _creates_when(status: int) -> Callable[[HttpRequest, HttpResponse, TinyVendor], HttpResponse]:
    def edit(request: HttpRequest, response: HttpResponse, vendor: TinyVendor) -> HttpResponse:
        if response.status == status:
            vendor.books.creates.append("t-stray")
        return response

    return edit


def _forgets(request: HttpRequest, response: HttpResponse, vendor: TinyVendor) -> HttpResponse:
    vendor.books.calls.clear()
    return response


def _charges(request: HttpRequest, response: HttpResponse, vendor: TinyVendor) -> HttpResponse:
    vendor.books.credits_charged["t-stray"] = 5.0
    return response


def _refuses_instrumentals(request: HttpRequest, response: HttpResponse, vendor: TinyVendor) -> HttpResponse:
    return attrs.evolve(response, status=403) if b"instrumental" in request.body else response


FAULTS: tuple[Fault, ...] = (
    fault("emulator_is_pure", "the emulator reads a clock", "time.time", lambda: broken.emulates(_ReadsTheClock)),
    fault("emulator_is_there", "no emulator", "emulator() hook", lambda: tiny(emulator=None)),
    fault("emulated_song_plays", "media without sound", "not playable audio", lambda: broken.emulates(_Silent)),
    fault("emulated_song_plays", "fewer tracks than promised", "promises 2", lambda: broken.offers(tracks=2)),
    fault("emulated_media_states_its_length", "no Content-Length", "Content-Length", lambda: broken.answers(_no_length)),
    fault("emulated_statuses_are_mapped", "an unmapped status", "tuning", lambda: broken.emulates(_UnknownStatus)),
    fault("emulated_statuses_are_mapped", "done at the first poll", "first poll", lambda: broken.emulates(_AtOnce)),
    fault("emulated_failure", "a switch that does nothing", "did not fail", lambda: broken.emulates(_NeverFails)),
    fault("emulator_refuses_a_bad_key", "takes any key", "accepted the key", lambda: broken.emulates(_TakesAnyKey)),
    fault("emulator_refuses_a_bad_key", "the wrong class", "not as auth", lambda: broken.reads(_all_invalid)),
    fault("emulator_knows_its_routes", "every route answers", "no route", lambda: broken.answers(_any_route)),
    fault("emulator_is_deterministic", "never the same twice", "differently", lambda: broken.emulates(_Random)),
    fault("emulator_counts", "counts two songs", "2 creations", lambda: broken.emulates(_ChargesTwice)),
    fault("emulator_is_there", "an object without methods", "has no answer", lambda: tiny(emulator=_no_vendor)),
    fault("emulated_song_plays", "never done", "was not delivered", lambda: broken.emulates(_Forever)),
    fault("emulated_song_plays", "a blink of sound", "lasts 0.1 s", lambda: broken.answers(_a_blink)),
    fault("emulated_song_plays", "media that is forbidden", "answers HTTP 403", lambda: broken.answers(_media(status=403))),
    fault("emulated_song_plays", "links elsewhere", "not of its own origin", lambda: broken.answers(_links_elsewhere)),
    fault("emulated_media_states_its_length", "media of no kind", "without a Content-Type", lambda: broken.answers(_no_type)),
    fault("emulated_failure", "hangs instead", "ran into the deadline", lambda: broken.emulates(_Hangs)),
    fault("emulator_refuses_a_bad_key", "creates all the same", "all the same", lambda: broken.answers(_creates_when(401))),
    fault("emulator_knows_its_routes", "creates anywhere", "created something", lambda: broken.answers(_creates_when(404))),
    fault("emulator_is_deterministic", "slower every time", "calls, the other", lambda: broken.emulates(_slower())),
    fault("emulator_counts", "counts no calls", "counts fewer calls", lambda: broken.answers(_forgets)),
    fault("emulator_counts", "charges for nothing", "charged for", lambda: broken.answers(_charges)),
    fault("emulated_requests_succeed", "refuses an instrumental", "ended failed", lambda: broken.answers(_refuses_instrumentals)),
)  # fmt: skip
