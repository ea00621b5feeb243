"""``musicgate plugins check``: run the compliance kit on an installed plugin and print the results."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from musicgate.cli import completion
from musicgate.cli.options import AS_JSON

if TYPE_CHECKING:
    from collections.abc import Sequence

    from musicgate.model import MusicRequest
    from musicgate.testing.compliance import Result, Subject


@click.command()
@click.argument("name", shell_complete=completion.plugins)
@click.option(
    "--cases",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Recorded cases to replay; an installed plugin does not contain them.",
)
@click.option(
    "--failing",
    multiple=True,
    metavar="NAME=VALUE",
    help="Emulator switch that makes a job fail after it was accepted; may be repeated.",
)
@click.option(
    "--request",
    "requests",
    multiple=True,
    metavar="JSON",
    help="Request that the vendor can fulfil, where it cannot fulfil the kit's own; may be repeated.",
)
@click.option(
    "--skip",
    multiple=True,
    metavar="CHECK=REASON",
    help="Check to turn off, and why; may be repeated.",
)
@AS_JSON
def check(
    *,
    name: str,
    cases: Path | None,
    failing: tuple[str, ...],
    requests: tuple[str, ...],
    skip: tuple[str, ...],
    as_json: bool,
) -> None:
    """Run the compliance kit on the installed plugin NAME. Exit with 1 if a check fails."""
    from musicgate.cli import FailedError, RefusedError
    from musicgate.cli.plugin_group import NEEDS_TESTING
    from musicgate.cli.terminal import print_json, say

    try:
        import attrs
        from hypothesis.configuration import set_hypothesis_home_dir

        from musicgate.testing.compliance import Outcome, Subject, known_checks, run_checks
    except ModuleNotFoundError as exc:
        raise FailedError(NEEDS_TESTING.format(library=str(exc.name).partition(".")[0])) from exc
    try:
        subject = _with(Subject.installed(name), cases, failing)
        halves = [word.partition("=") for word in skip]
        skipped = {check.strip().replace(" ", "_"): reason for check, _, reason in halves}
        subject = attrs.evolve(
            subject, skip_checks=known_checks(skipped), requests=tuple(_request(text) for text in requests)
        )
    except (LookupError, ValueError) as exc:
        raise RefusedError(str(exc.args[0])) from exc
    with TemporaryDirectory(prefix="musicgate-kit-") as folder:
        set_hypothesis_home_dir(folder)  # by default it writes to the current folder
        results = run_checks(subject)
    counted = Counter(result.outcome for result in results)
    counts = {outcome.value: counted[outcome] for outcome in Outcome}
    if as_json:
        checks = [_plain(result) for result in results]
        print_json({"object": "plugin_check", "plugin": name, **counts, "checks": checks})
    else:
        _print(results)
        summary = ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
        say(f"\n{name}: {summary} in {sum(result.seconds for result in results):.1f} s")
    if counted[Outcome.FAILED]:
        click.get_current_context().exit(FailedError.exit_code)


def _with(subject: Subject, cases: Path | None, failing: Sequence[str]) -> Subject:
    """Add what the plugin's own test file would declare."""
    import attrs

    from musicgate.cli import RefusedError
    from musicgate.testing.cases import load_cases

    if failing:
        pairs = [word.partition("=") for word in failing]
        subject = attrs.evolve(subject, failure_switches={switch: value or "1" for switch, _, value in pairs})
    if cases is None:
        return subject
    try:
        return attrs.evolve(subject, cases=tuple(load_cases(cases)))
    except (ValueError, KeyError, TypeError) as exc:
        raise RefusedError(f"--cases {cases}: {exc}") from exc


def _request(text: str) -> MusicRequest:
    """Read a request in the form of a case file's: the fields of `MusicRequest`.

    Raises:
        ValueError: it is none.
    """
    import json

    from musicgate.model import MusicRequest

    try:
        return MusicRequest(**json.loads(text))
    except (ValueError, TypeError) as exc:
        raise ValueError(f"--request {text}: {exc}") from exc


def _print(results: Sequence[Result]) -> None:
    from musicgate.cli.table import print_table

    rows = [
        (result.name.replace("_", " "), result.outcome.value, " ".join(result.message.split()))
        for result in results
    ]
    print_table(("check", "result", "why"), rows, empty="the kit has no checks")


def _plain(result: Result) -> dict[str, object]:
    return {
        "name": result.name,
        "outcome": result.outcome.value,
        "message": result.message,
        "seconds": round(result.seconds, 3),
    }
