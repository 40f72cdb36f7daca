"""Results in PostgreSQL: `fact` tables, one row per trip, cost, match or finding, and `ops` tables, what ran.

Every `fact` row carries `operational_date`, `run_id` and `updated_at`; the warehouse IO manager fills the last two.
"""

from __future__ import annotations

from fleet_audit.schema.facts.arrivals import (
    API_REQUESTS,
    API_WINDOWS,
    DAY_ACCEPTANCE,
    DAY_DIGESTS,
    FILE_DAYS,
    INBOX_REQUESTS,
    INBOX_SIGHTINGS,
    INCOMPLETE_DAYS,
    INGESTED_FILES,
    PENDING_DEVICES,
    POSITION_HOURS,
    REJECTED_ROWS,
    STAGE_COUNTS,
)
from fleet_audit.schema.facts.audit import (
    CONTEST_OUTCOMES,
    CYCLE_FINDINGS,
    CYCLE_INCIDENTS,
    CYCLE_RULES_NOT_TESTED,
    FINDINGS,
    INCIDENTS,
    REVIEW_ESTIMATES,
    REVIEW_SAMPLES,
    RULES_NOT_TESTED,
    TRIP_SCORES,
)
from fleet_audit.schema.facts.closing import (
    ADJUSTMENTS,
    COMPUTED_DAYS,
    CYCLE_CLOSES,
    PARAMETER_VERSIONS,
    REFERENCE_CHANGES,
    REFERENCE_DELTAS,
    REFERENCE_HISTORY,
    REVERSAL_ADJUSTMENTS,
)
from fleet_audit.schema.facts.costs import (
    BILLING_LINES,
    FIXED_COST_DAYS,
    TRIP_COSTS,
    VEHICLE_CYCLE_AMOUNTS,
    VEHICLE_DAY_AMOUNTS,
)
from fleet_audit.schema.facts.declared import DECLARED_RUNS, HELD_RUNS, MATCHES
from fleet_audit.schema.facts.devices import CALIBRATION_SEGMENTS, CALIBRATIONS, COVERAGE, DEVICE_HEALTH
from fleet_audit.schema.facts.trips import KM_LEDGER, TRIP_WINDOW, TRIPS

FACTS = (
    TRIPS,
    KM_LEDGER,
    TRIP_COSTS,
    HELD_RUNS,
    FIXED_COST_DAYS,
    DECLARED_RUNS,
    MATCHES,
    FINDINGS,
    INCIDENTS,
    TRIP_SCORES,
    COVERAGE,
    DEVICE_HEALTH,
    CALIBRATIONS,
    VEHICLE_DAY_AMOUNTS,
)
CYCLE_FACTS = (
    CALIBRATION_SEGMENTS,
    BILLING_LINES,
    VEHICLE_CYCLE_AMOUNTS,
    ADJUSTMENTS,
    REVIEW_SAMPLES,
    REVIEW_ESTIMATES,
    CONTEST_OUTCOMES,
)
OPS = (
    INGESTED_FILES,
    FILE_DAYS,
    DAY_ACCEPTANCE,
    PENDING_DEVICES,
    INBOX_REQUESTS,
    INBOX_SIGHTINGS,
    INCOMPLETE_DAYS,
    RULES_NOT_TESTED,
    REJECTED_ROWS,
    STAGE_COUNTS,
    API_REQUESTS,
    API_WINDOWS,
    POSITION_HOURS,
    DAY_DIGESTS,
    PARAMETER_VERSIONS,
    COMPUTED_DAYS,
    CYCLE_CLOSES,
    REFERENCE_HISTORY,
    REFERENCE_CHANGES,
    REFERENCE_DELTAS,
)
TABLES = (
    *(*FACTS, *CYCLE_FACTS, CYCLE_FINDINGS, CYCLE_INCIDENTS, REVERSAL_ADJUSTMENTS),
    *(*OPS, CYCLE_RULES_NOT_TESTED, TRIP_WINDOW),
)
