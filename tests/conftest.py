"""Fixtures that the core's tests share: the Hypothesis profile, and answers played into aiohttp."""
