from pathlib import Path

import musicgate_suno_kie
from musicgate.testing.compliance import ProviderCompliance


class TestCompliance(ProviderCompliance):
    plugin = musicgate_suno_kie
    cases = Path(__file__).parent / "cases"
    failure_switches = "end=GENERATE_AUDIO_FAILED"
