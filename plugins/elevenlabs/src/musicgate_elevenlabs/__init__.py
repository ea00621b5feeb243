"""ElevenLabs Music, as a musicgate plugin."""
