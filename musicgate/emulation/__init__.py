"""Vendors emulated on loopback: the machine that all emulators share, playable audio, and the sandbox.

An author's emulator imports from here. This package knows the contract, and must not know any vendor. Start
with `vendor`, the machine that an emulator derives from, and `switches`, its fault language; the contract is
`musicgate.plugin.emulator`. `mount` serves an emulator on a socket, `sandbox` runs the real gateway against
all of them; both need aiohttp, so they are imported by name.
"""

from musicgate.emulation import switches
from musicgate.emulation.accounts import Accounts, Auth, Rate
from musicgate.emulation.answers import (
    Call,
    FormPart,
    No,
    answer_bytes,
    answer_json,
    answer_page,
    broken,
    digest,
    texts_in,
    uuid4,
    with_headers,
)
from musicgate.emulation.callbacks import CallbackQueue, Sign, Signed
from musicgate.emulation.forms import typed
from musicgate.emulation.media import MediaFile, MediaHost
from musicgate.emulation.multipart import MULTIPART_FAULTS, with_boundary_inside, write_multipart
from musicgate.emulation.routes import Kind, Route, route
from musicgate.emulation.spelling import camel_case
from musicgate.emulation.switches import NEUTRAL, Switch, Switches, check_switches
from musicgate.emulation.tasks import Task
from musicgate.emulation.tones import AudioFormat, Container, cover_png, song
from musicgate.emulation.validation import validation_errors
from musicgate.emulation.vendor import EmulatedVendor
from musicgate.plugin import (
    EmulatedAnswer,
    EmulatedCallback,
    Emulator,
    EmulatorBooks,
    EmulatorOptions,
    switches_in,
)

__all__ = [
    "MULTIPART_FAULTS",
    "NEUTRAL",
    "Accounts",
    "AudioFormat",
    "Auth",
    "Call",
    "CallbackQueue",
    "Container",
    "EmulatedAnswer",
    "EmulatedCallback",
    "EmulatedVendor",
    "Emulator",
    "EmulatorBooks",
    "EmulatorOptions",
    "FormPart",
    "Kind",
    "MediaFile",
    "MediaHost",
    "No",
    "Rate",
    "Route",
    "Sign",
    "Signed",
    "Switch",
    "Switches",
    "Task",
    "answer_bytes",
    "answer_json",
    "answer_page",
    "broken",
    "camel_case",
    "check_switches",
    "cover_png",
    "digest",
    "route",
    "song",
    "switches",
    "switches_in",
    "texts_in",
    "typed",
    "uuid4",
    "validation_errors",
    "with_boundary_inside",
    "with_headers",
    "write_multipart",
]
