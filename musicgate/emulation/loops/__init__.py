"""Short loops of music and the means to make any length and format of them; see `musicgate.emulation.tones` for the API."""
