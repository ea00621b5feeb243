"""What tests of plugins and of the gateway are built from: rehearsals, recorded cases, playable tones, fakes, emulators on loopback.

Import the submodules: this package imports none of them, so that a plugin's emulator does not pay for the rest.
"""
