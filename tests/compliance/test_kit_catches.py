from collections import Counter
from pathlib import Path

import pytest

from musicgate.testing.compliance import (
    CHECKS,
    Outcome,
    Subject,
    name_of,
    run_check,
    run_checks,
)
from tests.compliance import faults_declared, faults_emulated, faults_hidden, faults_reading, faults_sending
from tests.compliance.fault import Fault
from tests.compliance.tiny_plugin import tiny

FAULTS = (
    *faults_declared.FAULTS,
    *faults_sending.FAULTS,
    *faults_emulated.FAULTS,
    *faults_reading.FAULTS,
    *faults_hidden.FAULTS,
)
CASES = Path(__file__).parent / "cases"
BY_NAME = {name_of(check): check for check in CHECKS}


def subject_of(fault: Fault) -> Subject:
    return Subject.of_module(fault.plugin(), cases=CASES, failure_switches={"fail": "1"})


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.check}-{fault.what.replace(' ', '_')}")
def test_a_broken_plugin_is_caught_by_its_check(fault: Fault) -> None:
    result = run_check(subject_of(fault), BY_NAME[fault.check])
    assert result.outcome is Outcome.FAILED, f"{fault.what}: {result}"
    assert "broke the check" not in result.message
    assert fault.message in result.message


def test_every_check_has_a_broken_plugin() -> None:
    assert {fault.check for fault in FAULTS} == set(BY_NAME)


def test_names_of_checks_are_unique() -> None:
    assert Counter(name_of(check) for check in CHECKS).most_common(1)[0][1] == 1


def test_the_good_plugin_passes_everything_that_it_can_have() -> None:
    subject = Subject.of_module(tiny(), cases=CASES, failure_switches={"fail": "1"})
    results = run_checks(subject)
    assert [result for result in results if result.outcome is Outcome.FAILED] == []
    skipped = {result.name: result.message for result in results if result.outcome is Outcome.SKIPPED}
    assert skipped == {
        "blocking_is_not_polled": "the provider is not blocking",
        "schema_allows_declared_values": "no option of the schema is a declared field",
    }


def test_the_good_plugin_of_two_calls_passes_what_is_about_them() -> None:
    subject = Subject.of_module(faults_hidden.in_two_calls())
    for name in ("every_offer_plays", "reasons_under_5xx", "cancel_stops_the_song", "callback_adopts_a_job"):
        assert run_check(subject, BY_NAME[name]).message == ""
