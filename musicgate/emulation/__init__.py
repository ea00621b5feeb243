"""Vendors emulated on loopback: the emulator contract, playable audio, and the sandbox.

An author's emulator imports from here. This package knows the contract, and must not know any vendor. Start
with `musicgate.plugin.emulator`, the contract; then `mount`, which serves an emulator on a socket, and
`sandbox`, which runs the real gateway against all of them. Both need aiohttp, so they are imported by name.
"""

from musicgate.emulation.tones import AudioFormat, Container, cover_png, song
from musicgate.plugin import (
    EmulatedAnswer,
    EmulatedCallback,
    Emulator,
    EmulatorBooks,
    EmulatorOptions,
    switches_in,
)

__all__ = [
    "AudioFormat",
    "Container",
    "EmulatedAnswer",
    "EmulatedCallback",
    "Emulator",
    "EmulatorBooks",
    "EmulatorOptions",
    "cover_png",
    "song",
    "switches_in",
]
