from pathlib import Path

import musicgate_fal
from musicgate.plugin import MusicRequest
from musicgate.testing.compliance import ProviderCompliance


class TestCompliance(ProviderCompliance):
    plugin = musicgate_fal
    cases = Path(__file__).parent / "cases"
    failure_switches = "end=content_policy_violation"
    #: The model that cannot do without a length.
    requests = (MusicRequest(model="fal/cassetteai/music-generator", prompt="Rain on a roof", duration_s=30),)
