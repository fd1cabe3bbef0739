"""How does a process let go of a run, at its end or where something has broken it off?"""

from __future__ import annotations

from loguru import logger

from crews.errors import EXIT_FAILED, CrewsError, StoreError
from crews.records.journal import Journal
from crews.records.rows import RunStatus
from crews.runtime.scene import Scene


def release(
    journal: Journal,
    scene: Scene | None,
    status: RunStatus,
    *,
    exit_code: int,
    reason: str = "",
    summary: str | None = None,
) -> None:
    """Say what the run is now, to the journal and to who listens."""
    worked = scene.worked() if scene else 0.0
    reason = scene.redactor.text(reason) if scene else reason
    status = journal.release(
        status, reason=reason, exit_code=exit_code, worked=worked, summary=summary
    )
    if scene is not None:
        kind = "run_waiting" if status in {"waiting", "queued"} else "run_ended"
        scene.emit(kind, state=status, text=reason)  # type: ignore[arg-type]


def let_go(journal: Journal, scene: Scene | None, error: Exception, again: bool) -> bool:
    """Release a run that an error has broken off; is the caller to go on with it at once?"""
    if again and isinstance(error, StoreError) and error.transient:
        logger.warning("run {} goes on after an outage: {}", journal.run, error.what)
        journal.release("queued", worked=scene.worked() if scene else 0.0)
        return True
    reason, code = str(error), EXIT_FAILED
    if isinstance(error, CrewsError):
        code = error.exit_code
    else:
        logger.exception("run {} broke", journal.run)
        reason = f"{type(error).__name__}: {error}"
    release(journal, scene, "failed", reason=reason, exit_code=code)
    return False
