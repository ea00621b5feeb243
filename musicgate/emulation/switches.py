"""The fault language of all emulators: switches with typed values, neutral ones and a vendor's own.

A switch says *what* goes wrong, *when* and *how often*: ``create=429:2`` refuses the first two create calls,
``media=cut:ever`` cuts every download, ``stuck=1`` never lets a song end. The neutral switches mean the same
for every vendor; a vendor declares its own in the same way. A name or value that does not exist stops the
start; in a marker it is ignored, because the text may be meant for another vendor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final

import attrs

from musicgate.errors import ConfigError
from musicgate.plugin import switches_in

#: Faults that take the place of an answer. A number is a code that the vendor refuses with.
ANSWER_FAULTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "html": "an HTML page with HTTP 502; html-NNN: with that status",
        "empty": "HTTP 200 without a body",
        "malformed": "HTTP 200 with the first half of the JSON",
        "text": "HTTP 200 with a line of plain text",
    }
)
_CREATE_FAULTS: Final[Mapping[str, str]] = {
    **ANSWER_FAULTS,
    "hangup": "nothing is made, the connection is closed",
    "drop": "made and billed, then the connection is closed without an answer",
    "cut": "made and billed, the connection is closed in the middle of the answer",
    "lost": "made and billed, then an HTML page with HTTP 502",
    "made-...": "made and billed, then any of the faults above or a number",
}
_POLL_FAULTS: Final[Mapping[str, str]] = {
    **ANSWER_FAULTS,
    "drop": "the connection is closed without an answer",
    "cut": "the connection is closed in the middle of the answer",
    "missing": "what the vendor answers for a task that it does not know",
    "status-...": "a record with that status, true or not, known to the vendor or not, and nothing else",
}
_MEDIA_FAULTS: Final[Mapping[str, str]] = {
    "cut": "half of the file, although its whole length was announced",
    "slow": "the file, slowly",
    "empty": "HTTP 200 with no bytes",
    "html": "HTTP 200 with an HTML page",
    "expired": "what the vendor answers for an expired link",
    "drop": "the connection is closed without an answer",
}


@attrs.frozen(kw_only=True)
class Values:
    """The values that a switch takes.

    Attributes:
        shown: how they are written, for people.
        takes: True for a valid value.
        meanings: words among the values that need a sentence each.
    """

    shown: str
    takes: Callable[[str], bool] = attrs.field(eq=False, repr=False)
    meanings: Mapping[str, str] = MappingProxyType({})


@attrs.frozen
class Switch:
    """One switch: its name, its values, and what it does, in one sentence."""

    name: str
    values: Values
    meaning: str

    def plus(self, **words: str) -> Switch:
        """Return a `script` switch that takes a vendor's own faults as well: ``CREATE.plus(no_id="...")``."""
        return attrs.evolve(self, values=script({**self.values.meanings, **words}))


def word(*words: str) -> Values:
    """One of these words."""
    return Values(shown=", ".join(words), takes=frozenset(words).__contains__)


def words(*words: str) -> Values:
    """One or more of these words, with commas between them."""
    known = frozenset(words)
    return Values(
        shown=f"one or more of {', '.join(words)}", takes=lambda value: set(value.split(",")) <= known
    )


def number(*words: str) -> Values:
    """A number from 0, or one of these words."""
    shown = " or ".join(["a number", *words])
    return Values(shown=shown, takes=lambda value: value in words or _is_number(value))


def numbers(*words: str) -> Values:
    """One or more numbers from 0, with commas between them, or one of these words."""
    shown = " or ".join(["a number, or several like 3,4", *words])
    return Values(shown=shown, takes=lambda value: value in words or all(map(_is_number, value.split(","))))


def flag() -> Values:
    """``1`` or ``0``."""
    return Values(shown="1 or 0", takes=frozenset({"0", "1"}).__contains__)


def text(shown: str = "any text") -> Values:
    """Any text that is not empty; ``shown`` names what is of use."""
    return Values(shown=shown, takes=bool)


def script(faults: Mapping[str, str], *, takes_numbers: bool = True) -> Values:
    """A script: faults, each for one call, for N calls (``html:2``) or for ever (``html:ever``).

    ``html:2,429`` answers two calls with HTML, the third with 429, and later ones as they should be.
    """
    known = frozenset(faults)

    def takes_fault(fault: str) -> bool:
        if "status-..." in known and fault.startswith("status-") and fault != "status-":
            return True
        bare = fault.removeprefix("made-") if "made-..." in known else fault
        is_page = "html" in known and bare.startswith("html-") and bare[5:].isdecimal()
        return bare in known or is_page or (takes_numbers and bare.isascii() and bare.isdecimal())

    def takes(value: str) -> bool:
        return all(
            takes_fault(fault) and (not colon or times == "ever" or (times.isascii() and times.isdecimal()))
            for fault, colon, times in (entry.partition(":") for entry in value.split(","))
        )

    shown = ", ".join([*(["a number"] if takes_numbers else []), *faults])
    return Values(shown=f"a script of {shown}", takes=takes, meanings=MappingProxyType(dict(faults)))


def faults(**meanings: str) -> Values:
    """A script of a vendor's own faults, each with a sentence, and of no numbers."""
    return script(meanings, takes_numbers=False)


CREATE: Final = Switch("create", script(_CREATE_FAULTS), "the answer to a create call")
POLL: Final = Switch("poll", script(_POLL_FAULTS), "the answer to a poll")
CANCEL: Final = Switch("cancel", script(_POLL_FAULTS), "the answer to a cancel call")
MEDIA: Final = Switch("media", script(_MEDIA_FAULTS), "the answer of each link to audio")
STUCK: Final = Switch("stuck", text("1, or a status word"), "a song never ends: 1, or the status it stays at")
END: Final = Switch("end", text("a status word"), "the last status, known to the vendor or not")
DONE_S: Final = Switch("done_s", number(), "seconds from the create call to the end, before speed")
SONG_S: Final = Switch("song_s", numbers(), "length of the songs in seconds, or of each track")
CREDITS: Final = Switch("credits", number(), "what each account has at the start, in the vendor's unit")
REFUND: Final = Switch("refund", word("on", "off"), "off: songs that failed stay charged")
RATE: Final = Switch("rate", number("off"), "create calls that an account may make in the vendor's window")
CONCURRENT: Final = Switch("concurrent", number("off"), "songs that an account may have in the making")
RETRY_AFTER: Final = Switch("retry_after", number(), "seconds in the Retry-After header of 429 and 503")
LINK_S: Final = Switch("link_s", number(), "seconds until links to audio expire")
ECHO_KEY: Final = Switch("echo_key", flag(), "1: the text of a refused key repeats the key")
CALLBACKS: Final = Switch(
    "callbacks",
    words("off", "double", "reverse", "unsigned", "badsign", "stale"),
    "callbacks are not sent, sent twice, sent last stage first; their signature is left out, wrong or old",
)

#: The neutral switches by name. A vendor has those whose part of the machine it uses.
NEUTRAL: Final[Mapping[str, Switch]] = MappingProxyType(
    {
        switch.name: switch
        for switch in (
            *(CREATE, POLL, CANCEL, MEDIA, STUCK, END, DONE_S, SONG_S, CREDITS, REFUND),
            *(RATE, CONCURRENT, RETRY_AFTER, LINK_S, ECHO_KEY, CALLBACKS),
        )
    }
)


def check_switches(table: Mapping[str, Switch], given: Mapping[str, str]) -> None:
    """Check the global switches of an emulator.

    Raises:
        ConfigError: an unknown switch or value; ignored, it would hide that a fault is not tested.
    """
    for name, value in given.items():
        if name not in table:
            raise ConfigError(f"no such switch; there are {', '.join(table)}", key=name)
        if not table[name].values.takes(value):
            raise ConfigError(f"{value!r} is not {table[name].values.shown}", key=name)


@attrs.frozen
class Switches:
    """The switches of one call or task: values by name, every one of them valid."""

    table: Mapping[str, Switch]
    given: Mapping[str, str]

    def with_markers(self, texts: Iterable[object], vendor: str) -> Switches:
        """Return these with the markers of a request over them.

        ``[emulate poll=html]`` is for every vendor, ``[emulate suno_kie.poll=html]`` for one.
        """
        found = switches_in(*texts)
        meant = {name: value for name, value in found.items() if "." not in name}
        # What names this vendor beats what is for all of them, wherever it stands.
        meant |= {
            name.partition(".")[2]: value for name, value in found.items() if name.startswith(f"{vendor}.")
        }
        own = {
            name: value
            for name, value in meant.items()
            if name in self.table and self.table[name].values.takes(value)
        }
        return Switches(self.table, {**self.given, **own}) if own else self

    def get(self, name: str, default: str = "") -> str:
        """The value of a switch."""
        return self.given.get(name, default)

    def get_all(self, name: str) -> frozenset[str]:
        """The values of a switch that takes several words."""
        return frozenset(value for value in self.get(name).split(",") if value)

    def number(self, name: str, default: float) -> float:
        """The value of a numeric switch; the default if it is a word, such as ``off``."""
        value = self.get(name)
        return float(value) if _is_number(value) else default

    def limit(self, name: str, default: float | None) -> float | None:
        """The value of a limit: None = there is none (``off``)."""
        return None if self.get(name) == "off" else self.number(name, -1) if name in self.given else default

    def numbers(self, name: str) -> tuple[float, ...]:
        """The values of a switch that takes several numbers; empty if it is not set."""
        values = self.get(name).split(",")
        return tuple(map(float, values)) if all(map(_is_number, values)) else ()

    def is_on(self, name: str) -> bool:
        """True if a switch is set, and not to 0."""
        return self.get(name, "0") != "0"

    def step(self, name: str, number: int) -> str:
        """The fault of a script for the call with this number, from 0; empty after the script's end."""
        for entry in self.get(name).split(","):
            fault, _, times = entry.partition(":")
            if times == "ever":
                return fault
            number -= int(times) if times else 1
            if number < 0:
                return fault
        return ""


def markdown(switches: Iterable[Switch]) -> str:
    """Return the rows of a table of switches, for a README or a docs page."""
    rows = ["| switch | values | meaning |", "|---|---|---|"]
    for switch in switches:
        values = switch.values
        shown = "; ".join([f"{name}: {meaning}" for name, meaning in values.meanings.items()])
        cell = f"a script: {shown}" if shown else values.shown
        rows.append(f"| `{switch.name}` | {cell} | {switch.meaning} |")
    return "\n".join(rows)


def _is_number(value: str) -> bool:
    whole, _, fraction = value.partition(".")
    return value.isascii() and (whole + fraction).isdecimal()
