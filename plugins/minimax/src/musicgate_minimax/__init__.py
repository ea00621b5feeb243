"""MiniMax Music, as a musicgate plugin."""
