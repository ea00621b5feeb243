"""Short loops of music, and how `tones` makes songs of any length and format of them."""
