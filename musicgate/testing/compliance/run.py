"""The ordered list of all checks, and how they are run on a plugin without pytest."""

from __future__ import annotations

import time
from collections.abc import Callable
from difflib import get_close_matches
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import attrs

from musicgate.testing.compliance import (
    checks_answers,
    checks_callbacks,
    checks_cancel,
    checks_declaration,
    checks_emulator,
    checks_fields,
    checks_lifecycle,
    checks_options,
    checks_overrides,
    checks_purity,
    checks_ranges,
    checks_refusals,
    checks_request,
    checks_texts,
    checks_types,
)
from musicgate.testing.compliance.subject import Skipped, Subject

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Check = Callable[[Subject], None]

#: Every check, in the order in which an author fixes what they find.
CHECKS: Final[tuple[Check, ...]] = (
    checks_declaration.check_it_loads,
    checks_declaration.check_hooks_are_exported,
    checks_declaration.check_names_agree,
    checks_declaration.check_address_and_variables,
    checks_declaration.check_offers,
    checks_declaration.check_times,
    checks_declaration.check_option_schema,
    checks_declaration.check_settings_schema,
    checks_fields.check_schema_allows_declared_values,
    checks_request.check_request_form,
    checks_request.check_callback_url_is_sent,
    checks_request.check_follow_up_form,
    checks_request.check_blocking_is_not_polled,
    checks_request.check_no_secret_leaves,
    checks_request.check_no_secret_is_shown,
    checks_options.check_every_option_counts,
    checks_options.check_nested_options_count,
    checks_options.check_unknown_options,
    checks_options.check_neutral_fields,
    checks_options.check_abilities_are_true,
    checks_options.check_formats_are_true,
    checks_overrides.check_overridden_fields_are_reported,
    checks_ranges.check_lengths_are_sent_as_asked,
    checks_ranges.check_options_are_sent_as_asked,
    checks_texts.check_limits_are_true,
    checks_texts.check_texts_are_whole,
    checks_texts.check_option_texts_are_whole,
    checks_purity.check_hooks_are_pure,
    checks_purity.check_same_in_same_out,
    checks_purity.check_inputs_are_left_alone,
    checks_purity.check_emulator_is_pure,
    checks_emulator.check_emulator_is_there,
    checks_emulator.check_emulated_song_plays,
    checks_emulator.check_every_offer_plays,
    checks_emulator.check_offers_differ,
    checks_emulator.check_emulated_requests_succeed,
    checks_emulator.check_emulated_media_states_its_length,
    checks_emulator.check_emulated_statuses_are_mapped,
    checks_emulator.check_emulated_failure,
    checks_emulator.check_emulator_refuses_a_bad_key,
    checks_emulator.check_emulator_knows_its_routes,
    checks_emulator.check_emulator_is_deterministic,
    checks_emulator.check_emulator_counts,
    checks_answers.check_recorded_cases,
    checks_answers.check_hostile_answers,
    checks_answers.check_good_body_under_failing_status,
    checks_answers.check_unreadable_create,
    checks_answers.check_refusals_by_status,
    checks_answers.check_noise_while_polling,
    checks_answers.check_retry_after,
    checks_types.check_wrong_types_in_good_answers,
    checks_types.check_wrong_types_in_recorded_answers,
    checks_types.check_wrong_types_where_nothing_is,
    checks_refusals.check_reasons_under_5xx,
    checks_refusals.check_unknown_song_is_doubted,
    checks_lifecycle.check_unknown_status,
    checks_lifecycle.check_any_sequence_of_answers,
    checks_lifecycle.check_updates_survive_storage,
    checks_lifecycle.check_jobs_fit_the_schema,
    checks_cancel.check_cancel_request_never_raises,
    checks_cancel.check_cancel_stops_the_song,
    checks_cancel.check_cancel_too_late,
    checks_cancel.check_hostile_cancel_answers,
    checks_callbacks.check_callbacks_come_and_are_read,
    checks_callbacks.check_callback_adopts_a_job,
    checks_callbacks.check_unsigned_is_not_verified,
    checks_callbacks.check_good_signature,
    checks_callbacks.check_signature_headers_are_needed,
    checks_callbacks.check_flipped_bytes,
    checks_callbacks.check_old_signature,
    checks_callbacks.check_duplicate_callbacks,
    checks_callbacks.check_garbage_callbacks,
)


class Outcome(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@attrs.frozen(kw_only=True)
class Result:
    """How one check ended on one plugin.

    Attributes:
        name: the check's name without ``check_``.
        message: what is wrong, or why the check was skipped; empty when it passed.
        seconds: how long it took.
    """

    name: str
    outcome: Outcome
    message: str = ""
    seconds: float = 0.0


def name_of(check: Check) -> str:
    """Return the name that a check is shown under."""
    return getattr(check, "__name__", "check").removeprefix("check_")


def known_checks(skip_checks: Mapping[str, str]) -> Mapping[str, str]:
    """Return the checks that are turned off, by name, each with its reason.

    Raises:
        ValueError: there is no such check, or no reason.
    """
    names = {name_of(check) for check in CHECKS}
    for name, reason in skip_checks.items():
        if name not in names:
            near = ", ".join(get_close_matches(name, names)) or "docs/testing.md lists them"
            raise ValueError(f"skip_checks: there is no check {name!r}; {near}")
        if not reason.strip():
            raise ValueError(f"skip_checks: {name} is turned off without a reason")
    return skip_checks


def perform(subject: Subject, check: Check) -> None:
    """Perform one check, unless the subject turns it off.

    Raises:
        AssertionError: what the check found.
        Skipped: it does not apply, or is turned off.
    """
    reason = known_checks(subject.skip_checks).get(name_of(check))
    if reason is not None:
        raise Skipped(f"turned off: {reason}")
    check(subject)


def run_checks(subject: Subject, checks: Iterable[Check] = CHECKS) -> tuple[Result, ...]:
    """Run the checks in order, also after one that failed."""
    return tuple(run_check(subject, check) for check in checks)


def run_check(subject: Subject, check: Check) -> Result:
    """Run one check."""
    started_s = time.perf_counter()
    outcome, message = Outcome.PASSED, ""
    try:
        perform(subject, check)
    except Skipped as reason:
        outcome, message = Outcome.SKIPPED, str(reason)
    except AssertionError as error:
        outcome, message = Outcome.FAILED, str(error) or "an assertion without a message failed"
    except Exception as exc:  # noqa: BLE001 - to find unforeseen exceptions is the kit's purpose
        outcome, message = Outcome.FAILED, f"the plugin broke the check with {type(exc).__name__}: {exc}"
    return Result(
        name=name_of(check), outcome=outcome, message=message, seconds=time.perf_counter() - started_s
    )
