"""Suno over apiin.one, as a musicgate plugin."""
