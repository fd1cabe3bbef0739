"""What did a run do, decide, refuse and cost? Read from the journal's rows alone."""

from __future__ import annotations

from crews.report.costs import Costs, costs
from crews.report.facts import Report, report
from crews.report.markdown import markdown
from crews.report.money import Money
from crews.report.timeline import Moment, timeline

__all__ = ["Costs", "Moment", "Money", "Report", "costs", "markdown", "report", "timeline"]
