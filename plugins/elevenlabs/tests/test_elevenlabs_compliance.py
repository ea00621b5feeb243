from pathlib import Path

import musicgate_elevenlabs
from musicgate.testing.compliance import ProviderCompliance


class TestCompliance(ProviderCompliance):
    plugin = musicgate_elevenlabs
    cases = Path(__file__).parent / "cases"
    failure_switches = "moderation=prompt"
