"""The switches of the emulator: their names, values, defaults and meaning.

Switches are set globally, or for one task in any text of its request (``[emulate media=cut]``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from musicgate.plugin import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping


@attrs.frozen(kw_only=True)
class Switch:
    """One switch: its values (empty = any whole number), its default, its meaning."""

    values: tuple[str, ...]
    default: str
    meaning: str


#: Every switch by name.
SWITCHES: Mapping[str, Switch] = {
    "docs_gen": Switch(
        values=("any", "A", "B"),
        default="any",
        meaning="which generation's model names and extra fields are accepted",
    ),
    "feed_parameter": Switch(
        values=("any", "task_id", "workId"), default="any", meaning="which query parameter the feed reads"
    ),
    "create_shape": Switch(
        values=("plain", "overview", "envelope", "camel", "work_id"),
        default="plain",
        meaning="shape of the create answer: task_id; id; code + data.task_id; code + msg + data.taskId; "
        "workId beside data",
    ),
    "error_shape": Switch(
        values=("object", "code"),
        default="object",
        meaning="{error: {code, message, type}} or {code, message}",
    ),
    "error_http": Switch(
        values=("status", "200"),
        default="status",
        meaning="errors come with their HTTP status or inside HTTP 200",
    ),
    "type_style": Switch(
        values=("in_progress", "success"),
        default="in_progress",
        meaning="data.type is IN_PROGRESS until all is done, or SUCCESS from the text stage on",
    ),
    "final_style": Switch(
        values=("complete", "first"),
        default="complete",
        meaning="the last stage is complete, or stays first with the remark 'All generated successfully.'",
    ),
    "duration_style": Switch(
        values=("number", "text", "unit", "late"),
        default="number",
        meaning="8, '8', '8 s'; late = empty text until all is done",
    ),
    "failure": Switch(
        values=("none", "all", "one", "error_message", "type", "stuck", "no_items"),
        default="none",
        meaning="fail_message on all items or on the second one; error_message on all; type FAILED; "
        "stuck at first; never any items",
    ),
    "fail_text": Switch(
        values=("plain", "moderation"), default="plain", meaning="reason in the failure message"
    ),
    "feed_noise": Switch(
        values=("none", "not_found", "error_500", "empty", "html", "cut_json", "code_429"),
        default="none",
        meaning="what the feed answers instead of the task",
    ),
    "feed_noise_reads": Switch(values=(), default="2", meaning="for how many reads"),
    "create_fault": Switch(
        values=(
            *("none", "400", "401", "402", "403", "404", "429", "500", "503", "moderation"),
            *("html", "empty", "cut_json", "no_id", "drop", "drop_accepted", "cut_answer"),
        ),
        default="none",
        meaning="the create call fails; drop closes the connection before a task is created, "
        "drop_accepted after, cut_answer within the answer",
    ),
    "create_fault_times": Switch(
        values=(), default="1000000", meaning="how many creates fail before they succeed"
    ),
    "callbacks": Switch(
        values=("off", "list", "doubled", "reversed", "envelope", "envelope_with_id"),
        default="list",
        meaning="a bare list per stage, twice each, last stage first, or the feed's envelope "
        "(with the task's id beside it)",
    ),
    "media": Switch(
        values=("good", "cut", "forbidden_once", "forbidden", "empty", "slow", "expired", "html"),
        default="good",
        meaning="whole files; cut in half; 403 then 200; 403; 0 bytes; slowly; 410; "
        "an HTML page as audio/mpeg",
    ),
    "song_s": Switch(values=(), default="0", meaning="length of the songs in seconds; 0 = 6 to 12"),
    "done_s": Switch(
        values=(),
        default="40",
        meaning="seconds from create to done; text comes after an eighth, first after a half",
    ),
    "credits": Switch(values=(), default="1000", meaning="credits of an account at the start"),
    "creates_per_10_s": Switch(values=(), default="0", meaning="rate limit per key; 0 = none, as documented"),
}


@attrs.frozen
class Switches:
    """The switches of one request, defaults included."""

    given: Mapping[str, str]

    def __getitem__(self, name: str) -> str:
        """The value of a switch."""
        return self.given.get(name, SWITCHES[name].default)

    def number(self, name: str) -> int:
        """The value of a numeric switch."""
        return int(self[name])

    def overridden_by(self, switches: Mapping[str, str]) -> Switches:
        """These switches with a task's own over them; unknown names and invalid values are ignored."""
        valid = {name: value for name, value in switches.items() if is_valid(name, value)}
        return Switches({**self.given, **valid})


def parse_switches(switches: Mapping[str, str]) -> Switches:
    """Check the global switches.

    Raises:
        ConfigError: an unknown switch or an invalid value; ignored, it would hide that a fault is not tested.
    """
    for name, value in switches.items():
        if not is_valid(name, value):
            known = SWITCHES.get(name)
            values = ", ".join(known.values) or "a whole number" if known else f"one of {', '.join(SWITCHES)}"
            raise ConfigError(
                f"{value!r} is not {values}" if known else f"no such switch; {values}", key=name
            )
    return Switches(dict(switches))


def is_valid(name: str, value: str) -> bool:
    """True for a known switch and a value that it takes."""
    switch = SWITCHES.get(name)
    return switch is not None and (
        value in switch.values if switch.values else value.isascii() and value.isdigit()
    )
