"""A job as a task of the extension ``io.modelcontextprotocol/tasks``: pure, from the JSON of the job.

The job is the task: its id is the task's id, and nothing else is stored. So a task outlives the process, is
followed through any replica, and belongs to the account of its job.

===================  =================================================================
job                  task
===================  =================================================================
queued, in_progress  working
completed            completed, with the result of the tool call
failed               completed, with a result that has ``isError``: the status
                     ``failed`` is for errors of the protocol only
failed: cancelled    cancelled
===================  =================================================================

``input_required`` does not occur.

**Source**: github.com/modelcontextprotocol/ext-tasks, specification/draft/tasks.md of 21 August 2026;
SEP-2663 (final): modelcontextprotocol.io/seps/2663-tasks-extension.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from musicgate.mcp.calls import job_answer, state_text

if TYPE_CHECKING:
    from collections.abc import Mapping

EXTENSION: Final = "io.modelcontextprotocol/tasks"
#: A poll is answered from the store, and costs nothing at the vendor.
POLL_INTERVAL_MS: Final = 2_000


def declares_tasks(capabilities: object) -> bool:
    """True if the capabilities of a client have the extension."""
    extensions = capabilities.get("extensions") if isinstance(capabilities, dict) else None
    return isinstance(extensions, dict) and isinstance(extensions.get(EXTENSION), dict)


def is_open(job: Mapping[str, Any]) -> bool:
    """True if a job is not final."""
    return job["status"] not in {"completed", "failed"}


def render_new_task(job: Mapping[str, Any]) -> dict[str, Any]:
    """Render the answer to the call that made a job that is open: ``CreateTaskResult``."""
    return {"resultType": "task", **_task(job, "working")}


def render_task(job: dict[str, Any]) -> dict[str, Any]:
    """Render the answer to ``tasks/get``."""
    if is_open(job):
        return {"resultType": "complete", **_task(job, "working")}
    if job["status"] == "failed" and (job.get("error") or {}).get("reason") == "cancelled":
        return {"resultType": "complete", **_task(job, "cancelled")}
    result = {"resultType": "complete", **job_answer(job)}
    return {"resultType": "complete", **_task(job, "completed"), "result": result}


def _task(job: Mapping[str, Any], status: str) -> dict[str, Any]:
    return {
        "taskId": job["id"],
        "status": status,
        "statusMessage": state_text(job),
        "createdAt": job["created_at"],
        "lastUpdatedAt": job["updated_at"],
        # As long as the job is kept, which is the operator's choice and may change.
        "ttlMs": None,
        "pollIntervalMs": POLL_INTERVAL_MS,
    }
