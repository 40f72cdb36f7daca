"""The files of a day's report from its frames, as work that another process may take.

Imports no Dagster: a process that takes it starts without. Frames are read in `stored_days`.
"""

import datetime as dt
from dataclasses import dataclass

from fleet_audit.logic.costs.budget import Budget
from fleet_audit.reporting.documents.day import DayReport, build_day
from fleet_audit.reporting.formats.render import render_day
from fleet_audit.reporting.layout import Layout
from fleet_audit.reporting.sections.inputs import Frames


@dataclass(frozen=True)
class DayReportInputs:
    """What a day's report is made of; `is_shown`: whether the report itself is wanted beside its files."""

    day: dt.date
    frames: Frames
    budget: Budget
    is_shown: bool


@dataclass(frozen=True)
class DayFiles:
    """Builds and renders reports of days that were known at the same instant."""

    as_of: dt.datetime
    layout: Layout
    closing_day: int

    def __call__(self, inputs: DayReportInputs) -> tuple[dict[str, bytes], DayReport | None]:
        """Content by file name, and the report where it is shown."""
        made = build_day(
            inputs.frames,
            operational_date=inputs.day,
            generated_at=self.as_of,
            last_data_at=self.as_of,
            layout=self.layout,
            closing_day=self.closing_day,
            budget=inputs.budget,
        )
        return render_day(made), made if inputs.is_shown else None
