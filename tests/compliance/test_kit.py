import datetime as dt
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlencode

import attrs
import pytest

from musicgate import jobs
from musicgate.errors import RequestError
from musicgate.model import (
    Job,
    JobState,
    MusicRequest,
    Timeouts,
    Track,
)
from musicgate.plugin import HttpRequest, HttpResponse, Translation
from musicgate.testing.compliance import (
    CHECKS,
    Outcome,
    Result,
    Subject,
    known_checks,
    name_of,
    run_check,
    run_checks,
)
from musicgate.testing.compliance.checks_emulator import check_every_offer_plays
from musicgate.testing.compliance.checks_lifecycle import check_any_sequence_of_answers
from musicgate.testing.compliance.guard import pure
from tests.compliance import tiny_plugin
from tests.compliance.broken import declares, translates
from tests.compliance.tiny_plugin import PROVIDER, SETTINGS_SCHEMA, not_applied, tiny

CALLBACK_CHECKS = {name_of(check) for check in CHECKS if check.__module__.endswith("checks_callbacks")}


BY_NAME = {name_of(check): check for check in CHECKS}


def outcomes(module: ModuleType) -> dict[str, Result]:
    """Run every check."""
    return {result.name: result for result in run_checks(Subject.of_module(module))}


def outcome(subject: ModuleType | Subject, name: str) -> Result:
    """Run one check."""
    found = subject if isinstance(subject, Subject) else Subject.of_module(subject)
    return run_check(found, BY_NAME[name])


def skipped(module: ModuleType, *names: str) -> dict[str, str]:
    """Run these checks, or all of them; why each is skipped."""
    results = (outcome(module, name) for name in names) if names else outcomes(module).values()
    return {result.name: result.message for result in results if result.outcome is Outcome.SKIPPED}


def test_callback_checks_are_skipped_for_a_vendor_without_callbacks() -> None:
    concerned = CALLBACK_CHECKS | {"callback_url_is_sent"}
    reasons = skipped(declares(callbacks=False), *concerned)
    assert reasons.keys() == concerned
    assert {reasons[name] for name in CALLBACK_CHECKS} == {"the vendor cannot call back (Provider.callbacks)"}


def test_signature_checks_are_skipped_for_a_vendor_that_does_not_sign() -> None:
    reasons = skipped(declares(webhook_secret_env=None))
    assert {name for name, reason in reasons.items() if "does not sign" in reason} == {
        *("good_signature", "signature_headers_are_needed", "flipped_bytes", "old_signature")
    }


def test_poll_checks_are_skipped_for_a_blocking_vendor() -> None:
    reasons = skipped(declares(blocking=True, timeouts=Timeouts(create_s=600.0)))
    assert {name for name, reason in reasons.items() if "Provider.blocking" in reason} == {
        *("follow_up_form", "noise_while_polling", "unknown_song_is_doubted", "callback_adopts_a_job"),
        *(
            "cancel_request_never_raises",
            "cancel_stops_the_song",
            "cancel_too_late",
            "hostile_cancel_answers",
        ),
    }


def test_checks_of_absent_features_are_skipped_with_a_reason() -> None:
    names = ("every_option_counts", "nested_options_count", "emulated_failure", "recorded_cases")
    module = declares(settings_schema={}, options_schema={"type": "object"})
    reasons = skipped(module, "settings_schema", *names)
    assert reasons["settings_schema"] == "the plugin has no settings of its own"
    assert reasons["every_option_counts"] == "the option schema declares no options"
    assert reasons["nested_options_count"] == "no declared option is an object with declared keys"
    assert reasons["emulated_failure"].startswith("no switches named")
    assert reasons["recorded_cases"].startswith("no recorded cases at hand")


def test_a_plugin_that_does_not_load_fails_once_and_skips_the_rest() -> None:
    results = outcomes(tiny(translate_request=None))
    assert results.pop("it_loads").outcome is Outcome.FAILED
    assert {result.outcome for result in results.values()} == {Outcome.SKIPPED}
    assert results["offers"].message == results["emulator_is_there"].message == "the plugin does not load"


def test_a_plugin_that_cannot_be_imported_fails_with_the_reason() -> None:
    subject = Subject(name="gone", module=None, import_error="ImportError: no such thing", package="gone")
    first, second, *_ = run_checks(subject)
    assert first.outcome is Outcome.FAILED
    assert first.message == "the plugin cannot be imported: ImportError: no such thing"
    assert second.outcome is Outcome.SKIPPED


def test_exception_in_a_check_fails_it_and_the_others_still_run() -> None:
    def breaks(subject: Subject) -> None:
        raise KeyError(subject.name)

    def passes(subject: Subject) -> None:
        assert subject.provider == PROVIDER

    results = run_checks(Subject.of_module(tiny()), [breaks, passes])
    assert [(result.name, result.outcome) for result in results] == [
        ("breaks", Outcome.FAILED),
        ("passes", Outcome.PASSED),
    ]
    assert results[0].message == "the plugin broke the check with KeyError: 'tiny'"


def test_check_that_is_turned_off_is_skipped_with_its_reason() -> None:
    subject = Subject.of_module(
        tiny(emulator=None), skip_checks={"emulator_is_there": "the vendor is a person"}
    )
    result = outcome(subject, "emulator_is_there")
    assert (result.outcome, result.message) == (Outcome.SKIPPED, "turned off: the vendor is a person")


@pytest.mark.parametrize(
    ("skip_checks", "message"),
    [
        ({"ofers": "why not"}, "there is no check 'ofers'; offers"),
        ({"kit_nonsense": "why not"}, "docs/testing.md lists them"),
        ({"offers": " "}, "offers is turned off without a reason"),
    ],
)
def test_unknown_check_or_missing_reason_cannot_turn_anything_off(
    skip_checks: dict[str, str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        known_checks(skip_checks)


def test_a_vendor_that_cannot_cancel_needs_no_hook() -> None:
    reasons = skipped(tiny(cancel_request=None))
    assert {name for name, reason in reasons.items() if "cannot stop a song" in reason} == {
        *("cancel_stops_the_song", "cancel_too_late", "hostile_cancel_answers")
    }


def test_recorded_cancel_answer_without_the_hook_is_found(tmp_path: Path) -> None:
    case = {"mark": "DOC", "source": "a page", "step": "cancel", "expect": {"mapped": "failed"}}
    (tmp_path / "stop.json").write_text(json.dumps(case))
    subject = Subject.of_module(tiny(cancel_request=None), cases=tmp_path)
    result = outcome(subject, "cancel_stops_the_song")
    assert result.message.startswith("stop.json:1 records the step cancel, yet cancel_request returns None")


def test_offer_that_needs_another_setting_is_played_with_it() -> None:
    schema = {
        **SETTINGS_SCHEMA,
        "properties": {
            **SETTINGS_SCHEMA["properties"],
            "region": {"description": "x", "enum": ["eu", "us"], "default": "eu"},
        },
    }

    def translate_request(request: MusicRequest, offer: Any, settings: Any, callback_url: str | None) -> Any:
        if offer.model == "tiny/duet" and settings.options["region"] != "us":
            raise RequestError("validation_error", "in the US only", path=("model",))
        return tiny_plugin.translate_request(request, offer, settings, callback_url)

    module = tiny(provider=declares(settings_schema=schema).provider, translate_request=translate_request)
    assert outcome(module, "every_offer_plays").message == ""


def test_offer_that_needs_a_length_is_played_with_one() -> None:
    def translate_request(request: MusicRequest, offer: Any, settings: Any, callback_url: str | None) -> Any:
        if offer.model == "tiny/duet" and request.duration_s is None:
            raise RequestError("validation_error", "how long?", path=("duration",))
        return tiny_plugin.translate_request(request, offer, settings, callback_url)

    assert outcome(tiny(translate_request=translate_request), "every_offer_plays").message == ""


def test_offer_that_the_vendor_has_ended_is_played_only_on_request() -> None:
    def translate_request(request: MusicRequest, offer: Any, settings: Any, callback_url: str | None) -> Any:
        if offer.model == "tiny/duet":
            raise RequestError("validation_error", "it has ended", path=("model",))
        return tiny_plugin.translate_request(request, offer, settings, callback_url)

    ended = {"tiny/duet": dt.date(2026, 8, 20)}
    offers = tuple(attrs.evolve(offer, ended=ended.get(offer.model)) for offer in PROVIDER.offers)
    module = tiny(provider=declares(offers=offers).provider, translate_request=translate_request)
    result = outcome(module, "every_offer_plays")
    assert result.outcome is Outcome.SKIPPED
    assert "ended them: tiny/duet (2026-08-20); all others play" in result.message
    asked = Subject.of_module(module, requests=(MusicRequest(model="tiny/duet", prompt="rain"),))
    assert run_check(asked, check_every_offer_plays).outcome is Outcome.FAILED


def test_an_installed_plugin_is_found_by_its_name() -> None:
    subject = Subject.installed("minimax")
    assert (subject.package, subject.distribution) == ("musicgate_minimax", "musicgate-minimax")
    assert subject.provider.plugin == "minimax"
    with pytest.raises(LookupError, match=r"no plugin 'kit' is installed; there are .*minimax"):
        Subject.installed("kit")


def test_an_installed_module_knows_its_distribution() -> None:
    subject = Subject.of_module(Subject.installed("suno_kie").module)  # type: ignore[arg-type]  # it is the module
    assert (subject.name, subject.distribution) == ("suno_kie", "musicgate-suno-kie")


def test_requests_of_the_author_are_used_beside_the_kits_own() -> None:
    request = MusicRequest(model="tiny-song", prompt="rain", blocks={"tiny": {"mood": "wet"}})
    subject = Subject.of_module(tiny(), requests=(request,))
    assert request in [base[1] for base in subject.base]


def test_plugin_that_refuses_every_base_request_is_an_error() -> None:
    without_options = attrs.evolve(PROVIDER, options_schema={"type": "object"})

    def translate_request(request: MusicRequest) -> None:
        raise RequestError("validation_error", "never")

    subject = Subject.of_module(tiny(provider=lambda: without_options, translate_request=translate_request))
    with pytest.raises(AssertionError, match="refused every base request"):
        _ = subject.base


def test_guard_replaces_names_imported_from_their_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("musicgate_tiny_clock")
    exec("from time import time\nfrom os import environ\nfrom datetime import datetime", vars(module))  # noqa: S102
    monkeypatch.setitem(sys.modules, module.__name__, module)
    uses_of: tuple[tuple[Callable[[], object], str], ...] = (
        (lambda: module.time() > 0, "time.time"),
        (lambda: module.environ["HOME"], "os.environ['HOME']"),
        (lambda: module.datetime.now().year, "datetime.now"),
    )
    for use, name in uses_of:
        with pure(module.__name__) as uses, pytest.raises(Exception, match="a hook used"):
            use()
        assert uses == [name]
    assert module.time() > 0


def test_guarded_datetime_is_still_a_datetime() -> None:
    real = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)
    with pure(None) as uses:
        moment = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)
        assert isinstance(moment, dt.datetime)
        assert isinstance(real, dt.datetime)
    assert not uses
    assert moment.isoformat() == "2026-11-20T00:00:00+00:00"


def test_kit_imports_pytest_only_for_its_class() -> None:
    program = (
        "import sys, musicgate.testing.compliance as kit; assert kit.CHECKS; assert 'pytest' not in sys.modules;"
        "kit.ProviderCompliance; assert 'pytest' in sys.modules"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_distribution_of_another_name_is_found() -> None:
    subject = attrs.evolve(Subject.of_module(tiny()), distribution="musicgate-other")
    result = outcome(subject, "names_agree")
    assert result.message == "the distribution is 'musicgate-other', not 'musicgate-tiny'"


def test_empty_folder_of_cases_is_found(tmp_path: Path) -> None:
    result = outcome(Subject.of_module(tiny(), cases=tmp_path), "recorded_cases")
    assert result.message.startswith("the folder of recorded cases is empty")


def test_ability_that_is_applied_only_with_another_counts() -> None:
    def edit(translation: Translation, request: MusicRequest, *_: object) -> Translation:
        if request.lyrics or request.style is None:
            return translation
        body: Any = HttpResponse(status=200, body=translation.request.body).json()
        body.pop("style")
        native = HttpRequest.post_json(translation.request.url, body)
        return attrs.evolve(translation, request=native, warnings=(not_applied("style"),))

    assert outcome(translates(edit), "abilities_are_true").outcome is Outcome.PASSED


def _backwards(job: Job, *_: object) -> Job:
    return attrs.evolve(
        job, state=JobState.QUEUED if job.state is JobState.IN_PROGRESS else JobState.IN_PROGRESS
    )


def _revives(job: Job, *_: object) -> Job:
    return attrs.evolve(job, state=JobState.FAILED, version=job.version + 1)


def _renames(job: Job, *_: object) -> Job:
    attempt = attrs.evolve(job.attempts[-1], native_id=f"{job.native_id}x")
    return attrs.evolve(job, attempts=(attempt,))


def _forgets(job: Job, *_: object) -> Job:
    return attrs.evolve(job, tracks=() if job.tracks else (Track(index=0),))


def _delivers(job: Job, *_: object) -> Job:
    return attrs.evolve(job, delivered_at=job.updated_at)


@pytest.mark.parametrize(
    ("apply", "message"),
    [
        (_backwards, "moved a job from in_progress to queued"),
        (_revives, "changed a job that is failed"),
        (_renames, "changed the native id"),
        (_forgets, "took tracks away"),
        (_delivers, "finished a job that has no audio"),
    ],
)
def test_change_that_the_transition_table_forbids_is_caught(
    apply: Callable[..., Job], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = Subject.of_module(tiny())
    assert subject.emulated_run.job.delivered_at
    monkeypatch.setattr(jobs, "apply", apply)
    with pytest.raises(AssertionError, match=message):
        check_any_sequence_of_answers(subject)


def test_base_url_on_loopback_needs_no_tls() -> None:
    module = declares(base_url="http://localhost:8001")
    assert outcome(module, "address_and_variables").outcome is Outcome.PASSED


def test_form_bodies_are_checked_like_json() -> None:
    def edit(made: Translation, *_: object) -> Translation:
        song: Any = HttpResponse(status=200, body=made.request.body).json()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return attrs.evolve(
            made, request=attrs.evolve(made.request, headers=headers, body=urlencode(song).encode())
        )

    subject = Subject.of_module(translates(edit))
    for name in ("request_form", "texts_are_whole", "option_texts_are_whole"):
        assert run_check(subject, next(check for check in CHECKS if name_of(check) == name)).message == ""


def test_list_of_named_words_may_lose_repetitions() -> None:
    words = {"description": "Moods.", "type": "array", "items": {"enum": ["calm", "wild", "sad"]}}
    schema = {
        **tiny_plugin.OPTIONS_SCHEMA,
        "properties": {**tiny_plugin.OPTIONS_SCHEMA["properties"], "moods": words},
    }

    def edit(made: Translation, request: MusicRequest, *_: object) -> Translation:
        song: Any = HttpResponse(status=200, body=made.request.body).json()
        if "moods" in song:
            song["moods"] = sorted(set(song["moods"]))
        return attrs.evolve(made, request=HttpRequest.post_json(made.request.url, song))

    module = tiny(
        provider=declares(options_schema=schema).provider,
        translate_request=translates(edit).translate_request,
    )
    assert outcome(module, "options_are_sent_as_asked").message == ""
