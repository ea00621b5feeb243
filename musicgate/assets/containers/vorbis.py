"""Count the samples that a Vorbis packet decodes to.

Its first byte names a mode, and the mode has one of two block sizes. Modes are at the end of the set-up
packet, behind code books that only a decoder can read. So they are read backwards from the end, where each
has 41 bits of which 32 are always zero.

Source: Vorbis I specification, sections 4.2.2 (block sizes), 4.2.4 (modes), 4.3.1 and 4.3.8 (what a packet
gives).
"""

from typing import Final

_MODE_BITS: Final = 41
_MOST_MODES: Final = 64
#: So many bytes at the end of the set-up packet hold all modes.
SETUP_TAIL_BYTES: Final = (_MOST_MODES * _MODE_BITS + 6) // 8 + 2


class VorbisPackets:
    """Counts samples packet by packet: each adds what it overlaps with the one before it."""

    def __init__(self, block_sizes: tuple[int, int]) -> None:
        self._block_sizes = block_sizes
        self._block_of_mode: tuple[int, ...] = ()
        self._mode_mask = 0
        self._previous = 0

    def read_setup(self, tail: bytes) -> None:
        """Read the modes from the end of the set-up packet; without any, all blocks count as large."""
        flags = _modes(tail)
        self._block_of_mode = tuple(self._block_sizes[flag] for flag in flags)
        self._mode_mask = (1 << (len(flags) - 1).bit_length()) - 1 if flags else 0

    def __call__(self, packet: bytes) -> int:
        """The samples that the next packet adds."""
        if not packet or packet[0] & 1:
            return 0
        mode = packet[0] >> 1 & self._mode_mask
        if not self._block_of_mode:
            block = self._block_sizes[1]
        elif mode < len(self._block_of_mode):
            block = self._block_of_mode[mode]
        else:
            return 0
        previous, self._previous = self._previous, block
        return (previous + block) // 4 if previous else 0


def _modes(tail: bytes) -> tuple[int, ...]:
    """The block flag of each mode."""
    bits = int.from_bytes(tail, "little")
    end = bits.bit_length() - 1  # the framing bit is the last one that is set
    flags: list[int] = []
    found: tuple[int, ...] = ()
    while len(flags) < _MOST_MODES and end >= _MODE_BITS + 6:
        end -= _MODE_BITS
        mode, bits = bits >> end & (1 << _MODE_BITS) - 1, bits & (1 << end) - 1
        if mode >> 1 & 0xFFFF_FFFF or mode >> 33 >= 64:
            break
        flags.insert(0, mode & 1)
        if bits >> end - 6 == len(flags) - 1:
            found = tuple(flags)
    return found
