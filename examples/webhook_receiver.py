"""A receiver for musicgate's webhooks.

Run ``WEBHOOK_SECRET=whsec_... python webhook_receiver.py 8090``, and set in the gateway's settings, table
``[webhooks]``: ``url = "http://127.0.0.1:8090/"`` and the same ``secret``.
"""

import os
import sys

from aiohttp import web

from musicgate import RequestError, verify_webhook

SECRET = os.environ["WEBHOOK_SECRET"]
#: Ids of received messages. A message may arrive more than once, so a real receiver stores them in its
#: database.
SEEN: set[str] = set()


async def receive(request: web.Request) -> web.Response:
    """Verify the message, handle it once, answer quickly: slow work belongs into a queue."""
    try:
        message = verify_webhook(request.headers, await request.read(), SECRET)
    except RequestError as error:
        return web.Response(status=401, text=str(error))
    message_id = request.headers["webhook-id"]
    if message_id not in SEEN:
        SEEN.add(message_id)
        job = message["data"]
        links = [track["audio_url"] for track in job.get("output", [])]
        print(message["type"], job.get("id"), *links, flush=True)
    return web.Response(status=204)


app = web.Application()
app.router.add_post("/", receive)

if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
