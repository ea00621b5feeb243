"""One call to a vendor: every error is a `ProviderError`, and shown texts are masked."""

import asyncio
import logging
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import attrs
import pytest

from musicgate import (
    FailureClass,
    HttpRequest,
    HttpResponse,
    Job,
    JobState,
    JobUpdate,
    MusicRequest,
    ProviderError,
)
from musicgate.aio import TimeLimits
from musicgate.errors import PluginError
from musicgate.gateway import trace, vendor_call
from musicgate.gateway.vendor_call import call_vendor
from musicgate.hosting.installed import InstalledProvider, installed_providers
from musicgate.metrics import Figures
from musicgate.model import (
    DebugOptions,
    Failure,
    OptionWarning,
    Secret,
    WarningCode,
)
from musicgate.plugin.hooks import Step
from tests.fake_vendor import (
    KEY,
    MODEL,
    START,
    FakeVendor,
    ScriptedTransport,
    broken_link,
    host_of,
    lost,
    settings_for,
    unreached,
)

ONE = FakeVendor("one")
TOKEN = "callback-token-not-real"
POST = HttpRequest.post_json("https://one.test/create", {"prompt": "jazz"})


def job_for(*, keeps_body: bool) -> Job:
    return Job(
        id="music_1", account="default", generation_id="G-1", state=JobState.QUEUED, callback_token=TOKEN,
        request=MusicRequest(model=MODEL, prompt="jazz", debug=DebugOptions(return_upstream_response=keeps_body)),
        created_at=START, updated_at=START, deadline_at=START + timedelta(hours=1),
    )  # fmt: skip


@pytest.fixture
def installed() -> InstalledProvider:
    return installed_providers(settings_for(ONE), host_of(ONE))["one"]


@pytest.fixture
def transport() -> ScriptedTransport:
    return ScriptedTransport()


async def ask(
    installed: InstalledProvider, transport: Any, step: Step = Step.CREATE, *, keeps_body: bool = False
) -> JobUpdate:
    context: Any = SimpleNamespace(
        transport=transport, time_limits=TimeLimits(), figures=Figures(), tracing=None
    )
    return await call_vendor(context, installed, step, POST, job_for(keeps_body=keeps_body))


async def refusal(installed: InstalledProvider, transport: Any, step: Step = Step.CREATE) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await ask(installed, transport, step)
    return caught.value


# --- every error is a ProviderError ---

ANYTHING = [
    TypeError("x"),
    MemoryError(),
    ValueError("x"),
    RuntimeError("x"),
    RecursionError(),
    OSError(28, "full"),
]


@pytest.mark.parametrize("step", [Step.CREATE, Step.POLL, Step.CANCEL])
@pytest.mark.parametrize("error", ANYTHING, ids=lambda error: type(error).__name__)
async def test_transport_that_breaks_leaves_the_outcome_unknown(
    installed: InstalledProvider,
    transport: ScriptedTransport,
    error: Exception,
    step: Step,
    caplog: pytest.LogCaptureFixture,
) -> None:
    transport.script("one", error)
    failed = await refusal(installed, transport, step)
    kind = type(error).__name__
    assert (failed.failure.reason, failed.maybe_accepted) == (FailureClass.UNKNOWN_OUTCOME, True)
    assert str(failed) == f"the call to one broke on the way ({kind})"
    assert failed.__cause__ is error
    assert [record.message for record in caplog.records if record.levelno == logging.ERROR] == [
        f"vendor call broke: job=music_1 plugin=one error={kind} sent=True"
    ]


@pytest.mark.parametrize("error", ANYTHING, ids=lambda error: type(error).__name__)
async def test_what_breaks_before_the_request_is_handed_over_was_not_sent(
    installed: InstalledProvider,
    transport: ScriptedTransport,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object) -> HttpRequest:
        raise error

    monkeypatch.setattr(vendor_call, "_with_key", broken)
    failed = await refusal(installed, transport)
    assert (failed.failure.reason, failed.maybe_accepted) == (FailureClass.GATEWAY, False)
    assert not failed.failure.costs
    assert str(failed) == f"the call to one broke before anything was sent ({type(error).__name__})"
    assert transport.sent == []


@pytest.mark.parametrize("error", ANYTHING, ids=lambda error: type(error).__name__)
async def test_masking_that_breaks_leaves_the_outcome_unknown(
    installed: InstalledProvider,
    transport: ScriptedTransport,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(InstalledProvider, "masker", broken)
    transport.script("one", {"id": "n-1", "no": "invalid"}, unreached())
    for _ in range(2):  # after an answer, and after an error
        failed = await refusal(installed, transport)
        assert (failed.failure.reason, failed.maybe_accepted) == (FailureClass.UNKNOWN_OUTCOME, True)


async def test_key_that_no_header_can_hold_is_never_sent(
    installed: InstalledProvider, transport: ScriptedTransport
) -> None:
    broken = attrs.evolve(installed, key=Secret("test-key\nnot-real"))
    failed = await refusal(broken, transport)
    assert (failed.failure.reason, failed.maybe_accepted) == (FailureClass.AUTH, False)
    assert str(failed) == (
        "one: the key cannot be put into a header (a line break in it?); nothing was sent: "
        "set ONE_KEY, or providers.one.api_key"
    )
    assert failed.failure.rule.try_next
    assert transport.sent == []


async def test_stray_cancellation_leaves_the_outcome_unknown(
    installed: InstalledProvider, transport: ScriptedTransport
) -> None:
    def gives_up() -> None:
        raise asyncio.CancelledError

    transport.script("one", gives_up)
    failed = await refusal(installed, transport)
    assert (failed.failure.reason, failed.maybe_accepted) == (FailureClass.UNKNOWN_OUTCOME, True)


async def test_cancelled_call_stays_cancelled(
    installed: InstalledProvider, transport: ScriptedTransport
) -> None:
    async def hang(_: HttpRequest) -> None:
        await asyncio.sleep(60)

    transport.on_send = hang
    task = asyncio.create_task(ask(installed, transport))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_plugin_that_breaks_while_it_reads_may_have_cost(
    installed: InstalledProvider, transport: ScriptedTransport
) -> None:
    transport.script("one", {"crash": "here"})
    failed = await refusal(installed, transport)
    assert (failed.failure.reason, failed.maybe_accepted, failed.status) == (FailureClass.GATEWAY, True, 200)
    assert isinstance(failed.__cause__, PluginError)


@pytest.mark.parametrize("error", [unreached(), lost()])
async def test_further_call_that_fails_does_not_undo_the_first(
    installed: InstalledProvider, transport: ScriptedTransport, error: ProviderError
) -> None:
    before = error.maybe_accepted
    transport.script("one", {"next": "https://one.test/more"}, error)
    failed = await refusal(installed, transport)
    assert failed.maybe_accepted
    assert error.maybe_accepted is before  # an error that a plugin raised is not changed


@pytest.mark.parametrize("error", [unreached(), lost()])
async def test_error_of_the_transport_passes_as_it_is(
    installed: InstalledProvider, transport: ScriptedTransport, error: ProviderError
) -> None:
    transport.script("one", error)
    assert await refusal(installed, transport) is error


# --- masked when shown ---


async def test_error_that_quotes_the_key_is_replaced_by_a_masked_one(
    installed: InstalledProvider, transport: ScriptedTransport
) -> None:
    quoted = {
        "message": f"bad {KEY[:9]}",
        "words": quote(KEY.upper()),
        "code": KEY,
        "suggestion": [KEY, TOKEN],
    }
    transport.script("one", {"raise": "auth", "maybe": True, **quoted})
    failed = await refusal(installed, transport)
    assert (failed.status, failed.maybe_accepted, failed.args) == (200, True, ("bad ***",))
    assert failed.failure == Failure(
        reason=FailureClass.AUTH,
        message="bad ***",
        native_code="***",
        native_message="***",
        suggestion=["***", "***"],
    )
    shown: BaseException | None = failed
    while shown is not None:  # what a log shows of the chain
        assert KEY[:9] not in str(shown)
        shown = shown.__cause__ or (None if shown.__suppress_context__ else shown.__context__)


@pytest.mark.parametrize("kind", ["no", "doubt"])
async def test_refusal_is_masked(
    installed: InstalledProvider, transport: ScriptedTransport, kind: str
) -> None:
    transport.script("one", {kind: "invalid", "message": f"bad {KEY}", "words": f"{TOKEN[:20]}"})
    update = await ask(installed, transport)
    failure = update.doubt.failure if update.doubt else update.failure
    assert failure is not None
    assert (failure.message, failure.native_message) == ("bad ***", "***")


async def test_warning_and_the_failure_of_a_track_are_masked(
    installed: InstalledProvider, transport: ScriptedTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    warning = OptionWarning(code=WarningCode.NOT_APPLIED, path=("seed",), message=f"{KEY} has no seed")
    parse: Any = ONE.parse_response

    def warned(step: Step, response: HttpResponse) -> Any:
        return attrs.evolve(parse(step, response), warnings=(warning,))

    monkeypatch.setattr(installed.plugin, "parse", lambda step, response, *_: warned(step, response))
    transport.script("one", {"id": "n-1", "tracks": [{"id": "t", "broken": f"no {KEY}"}, {"id": "u"}]})
    update = await ask(installed, transport)
    assert [one.message for one in update.warnings] == ["*** has no seed"]
    assert [track.failure_message for track in update.tracks] == ["no ***", None]


async def test_ids_links_and_titles_are_used_and_stay(
    installed: InstalledProvider, transport: ScriptedTransport
) -> None:
    track = {
        "id": f"t-{KEY}",
        "url": f"https://cdn.test/{KEY}.wav",
        "title": KEY,
        "more": [f"https://b.test/{KEY}"],
    }
    transport.script("one", {"id": f"n-{KEY}", "status": "works", "tracks": [track]})
    update = await ask(installed, transport)
    assert update.native_id == f"n-{KEY}"
    (read,) = update.tracks
    assert (read.native_id, read.audio_url, read.title) == (f"t-{KEY}", f"https://cdn.test/{KEY}.wav", KEY)
    assert read.fallback_urls == (f"https://b.test/{KEY}",)


@pytest.mark.parametrize("key", ["test", "k"])
async def test_short_key_does_not_change_ids_and_links(
    installed: InstalledProvider, transport: ScriptedTransport, key: str
) -> None:
    short = attrs.evolve(installed, key=Secret(key))
    transport.script(
        "one", {"id": "task-test-k", "status": "works", "tracks": [{"url": "https://k.test/test"}]}
    )
    update = await ask(short, transport)
    assert (update.native_id, update.native_status) == ("task-test-k", "works")
    assert update.tracks[0].audio_url == "https://k.test/test"


async def test_only_whole_secrets_are_masked_in_a_status(
    installed: InstalledProvider, transport: ScriptedTransport
) -> None:
    transport.script(
        "one", {"id": "n-1", "status": f"WORKS {KEY}"}, {"id": "n-1", "status": f"WORKS {KEY[:9]}"}
    )
    assert (await ask(installed, transport)).native_status == "WORKS ***"
    assert (await ask(installed, transport)).native_status == f"WORKS {KEY[:9]}"


async def test_body_is_masked_where_it_is_kept_and_dropped_elsewhere(
    installed: InstalledProvider, transport: ScriptedTransport
) -> None:
    answer = {"id": f"n-{KEY}", "more": [f"{KEY}!"], "no": "invalid"}
    transport.script("one", answer, answer, {"id": "n-1", "status": "works"})
    kept = await ask(installed, transport, keeps_body=True)
    assert kept.body == {"id": "n-***", "more": ["***!"], "no": "invalid"}
    assert (await ask(installed, transport)).body is None


async def test_answer_without_a_text_to_mask_passes_as_it_is(
    installed: InstalledProvider, transport: ScriptedTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    update = JobUpdate(native_id="n-1", native_status="works")
    monkeypatch.setattr(installed.plugin, "parse", lambda *_: update)
    transport.script("one", {})
    assert await ask(installed, transport, Step.POLL) is update


# --- debug.trace ---


def traced(level: str | None) -> Job:
    job = job_for(keeps_body=False)
    debug = DebugOptions(trace=True, trace_level=level)
    return attrs.evolve(job, request=attrs.evolve(job.request, debug=debug))


SIGNED = "https://cdn.test/1.mp3?Signature=abc"


@pytest.mark.parametrize(("level", "has_bodies"), [(None, False), ("summary", False), ("full", True)])
async def test_traced_exchange_is_one_log_line_without_a_secret(
    installed: InstalledProvider,
    transport: ScriptedTransport,
    caplog: pytest.LogCaptureFixture,
    level: str | None,
    *,
    has_bodies: bool,
) -> None:
    caplog.set_level(logging.INFO, "musicgate.gateway.trace")
    transport.script("one", {"id": "n-1", "says": KEY, "callback": TOKEN, "url": SIGNED})
    request = HttpRequest.post_json(f"https://one.test/create?t={TOKEN}", {"prompt": "jazz", "at": TOKEN})
    context: Any = SimpleNamespace(
        transport=transport, time_limits=TimeLimits(), figures=Figures(), tracing=None
    )
    await call_vendor(context, installed, Step.CREATE, request, traced(level))
    (line,) = [record.message for record in caplog.records]
    assert "job=music_1 plugin=one step=create method=POST url=https://one.test/create?***" in line
    assert "status=200" in line
    assert ('"prompt":"jazz"' in line, '"id": "n-1"' in line or '"id":"n-1"' in line) == (has_bodies,) * 2
    for secret in (KEY, TOKEN, "Signature"):
        assert secret not in line


async def test_traced_call_without_an_answer_is_logged(
    installed: InstalledProvider, transport: ScriptedTransport, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "musicgate.gateway.trace")
    transport.script("one", broken_link(f"reset {KEY}"))
    context: Any = SimpleNamespace(
        transport=transport, time_limits=TimeLimits(), figures=Figures(), tracing=None
    )
    with pytest.raises(ProviderError):
        await call_vendor(context, installed, Step.POLL, POST, traced("full"))
    (line,) = [record.message for record in caplog.records]
    assert "step=poll" in line
    assert "error='reset ***'" in line
    assert KEY not in line


async def test_audio_and_long_bodies_are_not_traced_whole(
    installed: InstalledProvider, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "musicgate.gateway.trace")
    for body in (b"ID3\x00" * 9, b"x" * 100_000):
        answer = HttpResponse(status=200, body=body)
        trace.trace_exchange(installed, Step.CREATE, traced("full"), POST, answer, 0.5)
    audio, long = [record.message for record in caplog.records]
    assert "response='<36 bytes>'" in audio
    assert "<100000 bytes>" in long
    assert len(long) < 20_000


async def test_request_without_trace_logs_nothing(
    installed: InstalledProvider, transport: ScriptedTransport, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    transport.script("one", {"id": "n-1"})
    await ask(installed, transport)
    assert not [record for record in caplog.records if "traced" in record.message]
