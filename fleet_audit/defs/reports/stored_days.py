"""The inputs of a day's report, read from the stores by the process that renders it.

Imports no Dagster: a process that takes a day starts without. What is made of the inputs is in `day_files`.
"""

import datetime as dt
from dataclasses import dataclass, replace

from fleet_audit.defs.reports.day_files import DayFiles, DayReportInputs
from fleet_audit.defs.reports.frames import day_frames
from fleet_audit.dossiers.movement import points_of_groups
from fleet_audit.ingest.freshness import day_sources
from fleet_audit.logic.costs.budget import Budget, cycle_budget
from fleet_audit.logic.primitives.cycles import cycle_of
from fleet_audit.logic.primitives.money import known_sum
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.reporting.documents.day import MATRIX_DAYS, DayReport
from fleet_audit.reporting.sections.comparison import days_before
from fleet_audit.reporting.sections.divergences import divergent_groups
from fleet_audit.reporting.sections.inputs import Frames
from fleet_audit.schema.facts import COVERAGE, RULES_NOT_TESTED
from fleet_audit.storage.lake import Lake
from fleet_audit.storage.warehouse import Warehouse

# Sums of each computed day; a measure that nothing of a day has is null.
_DAY_SUMS = """
with measured as (
    select
        trips.operational_date,
        sum(trips.km_measured) as km,
        count(*) filter (where trips.purpose <> 'yard') as trips,
        sum(costs.billable_km) filter (where costs.variable_cost_brl is not null) as billable_km,
        sum(costs.variable_cost_brl) as variable_brl
    from fact.trips as trips
    left join fact.trip_costs as costs
        on trips.trip_id = costs.trip_id and costs.operational_date between :first and :last
    where trips.operational_date between :first and :last
    group by trips.operational_date
),

fixed as (
    select operational_date, sum(amount_brl) as fixed_brl
    from fact.fixed_cost_days
    where operational_date between :first and :last
    group by operational_date
)

select
    days.operational_date, measured.km, measured.trips, measured.billable_km, measured.variable_brl, fixed.fixed_brl
from (select distinct operational_date from fact.vehicle_day_coverage where operational_date between :first and :last)
    as days
left join measured on days.operational_date = measured.operational_date
left join fixed on days.operational_date = fixed.operational_date
order by days.operational_date
"""


@dataclass(frozen=True)
class StoredDayFiles:
    """Reads what the stores hold of a day, and gives what `files` makes of it.

    Of a long range each process reads its own days: the run's process would hold those of five at once.
    """

    warehouse: Warehouse
    lake: Lake
    reference: Reference
    files: DayFiles
    shown: dt.date

    def __call__(self, day: dt.date) -> tuple[dict[str, bytes], DayReport | None]:
        """Content by file name, and the report of the day that is shown."""
        frames = self._frames(day)
        return self.files(DayReportInputs(day, frames, self._budget(frames, day), is_shown=day == self.shown))

    def _frames(self, day: dt.date) -> Frames:
        before = [day - dt.timedelta(days=back) for back in range(1, MATRIX_DAYS)]
        not_tested = self.warehouse.read_partition(RULES_NOT_TESTED, [day])
        compared = days_before(day, cycle_of(day, self.files.closing_day))
        frames = day_frames(self.warehouse, self.lake, day)
        return replace(
            frames,
            positions=points_of_groups(self.lake, divergent_groups(frames)),
            rules_not_tested=not_tested[not_tested["cycle_start"].isna()],
            recent_coverage=self.warehouse.read_partition(COVERAGE, before),
            recent_days=self.warehouse.read(_DAY_SUMS, dict(zip(("first", "last"), compared, strict=True))),
            sources=day_sources(self.lake, self.warehouse, day),
        )

    def _budget(self, frames: Frames, day: dt.date) -> Budget:
        """The budget of the days of the cycle that were run, up to the day: what their sums are compared with."""
        cycle = cycle_of(day, self.files.closing_day)
        earlier = frames.recent_days[(frames.recent_days["operational_date"] >= cycle.start).fillna(False)]
        fixed_so_far = known_sum((*earlier["fixed_brl"].dropna(), *frames.fixed_cost_days["amount_brl"]))
        run_days = {*earlier["operational_date"], day}
        return cycle_budget(cycle, self.reference, fixed_so_far, run_days, self.files.closing_day, days=run_days)
