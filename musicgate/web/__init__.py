"""The HTTP server: routes, keys and envelopes around `musicgate.gateway.Gateway`; it decides nothing about music."""
