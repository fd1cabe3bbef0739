"""How was a run asked for, and by whom?"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from crews.teams.spec import SandboxChoice


class RunOptions(BaseModel):
    """How one run was asked for; kept with it, so that a resume goes on the same way."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    autonomy: int = 2
    observe: bool = False
    apply: bool = True
    """Apply the change set to the user's folder as soon as it is approved."""
    source: str | None = None
    """The user's folder; None: the run starts from an empty workspace."""
    tape: str = ""
    """Tape that answers instead of a model."""
    record: str = ""
    """File to which a tape of this run is written."""
    sandbox: SandboxChoice = "auto"
    started_by: str = ""
    asked_by: tuple[str, ...] = ()
    """Who started the runs that this one was forked from, the first of them first; empty text: nobody knows."""
    model: str = ""
    """Model for every agent, instead of the one that the team names."""
    priority: int = 0
    """Lower goes first, 1 to 1000; 0: as the team's policy says."""

    @property
    def askers(self) -> tuple[str, ...]:
        """Everybody who asked for what this run does, each once; empty text: nobody knows who else."""
        return tuple(dict.fromkeys((*self.asked_by, self.started_by)))
