"""Suno over kie.ai, as a musicgate plugin."""
