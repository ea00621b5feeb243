from pathlib import Path

import musicgate_minimax
from musicgate.plugin import MusicRequest
from musicgate.testing.compliance import ProviderCompliance


class TestCompliance(ProviderCompliance):
    plugin = musicgate_minimax
    cases = Path(__file__).parent / "cases"
    failure_switches = "create=1026"
    #: The free models have ended; the emulator still sings with them when it is told so.
    requests = tuple(
        MusicRequest(
            model=offer.model,
            prompt="Rain on a roof [emulate free=alive]",
            lyrics="Row on",
            blocks={"minimax": {"audio_url": "https://example.com/a.mp3"}} if "cover" in offer.model else {},
        )
        for offer in musicgate_minimax.provider().offers
        if offer.model.endswith("-free")
    )
