"""Make a song with the client that openapi-python-client generates; address and key are the arguments."""

import sys
import time

from generated.python_client import AuthenticatedClient
from generated.python_client.api.audio import get_audio
from generated.python_client.api.catalogue import list_models, plan_music
from generated.python_client.api.music import generate_music, get_music_generation, list_music_generations
from generated.python_client.models import (
    ErrorAnswer,
    JobList,
    ModelList,
    MusicJob,
    MusicJobStatus,
    MusicRequest,
    Plan,
)


def main(url: str, key: str) -> None:
    """Create a job, wait for it, and download its audio."""
    client = AuthenticatedClient(base_url=url, token=key)
    request = MusicRequest.from_dict({"model": "suno/v5", "prompt": "rain", "suno": {"instrumental": True}})
    plan = plan_music.sync(client=client, body=request)
    assert isinstance(plan, Plan)
    models = list_models.sync(client=client)
    assert isinstance(models, ModelList)
    assert "suno/v5" in [model.id for model in models.data]

    job = generate_music.sync(client=client, body=request, idempotency_key="a-song-of-python")
    assert isinstance(job, MusicJob), job
    while job.status not in {MusicJobStatus.COMPLETED, MusicJobStatus.FAILED}:
        time.sleep(0.1)
        job = get_music_generation.sync(job.id, client=client, prefer="wait=10")
        assert isinstance(job, MusicJob), job
    assert job.status is MusicJobStatus.COMPLETED, job
    assert isinstance(job.output, list)
    audio = get_audio.sync_detailed(job.id, job.output[0].index, client=client)
    assert audio.status_code == 200
    assert audio.headers["content-type"] == "audio/mpeg"
    page = list_music_generations.sync(client=client, limit=1)
    assert isinstance(page, JobList)
    assert [shown.id for shown in page.data] == [job.id]

    refused = generate_music.sync(client=client, body=MusicRequest(model="none/such"))
    assert isinstance(refused, ErrorAnswer)
    print(f"{job.id}: {job.output[0].title}, {len(audio.content):,} bytes; refused: {refused.description}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
