"""Trips of the vehicles, and where each odometer kilometre went.

What trips cost is in `costs`, what was declared of them in `declared`.
"""

from __future__ import annotations

from fleet_audit.schema.facts.columns import DAY, fact_table
from fleet_audit.schema.model import Column, Table, date, flag, instant, integer, km, km3, percent, real, text

PURPOSES = ("service", "deadhead", "maintenance", "yard", "unknown")
_TRIP_COLUMNS: tuple[Column, ...] = (
    text("trip_id", "Hash of vehicle, device, start and source"),
    DAY,
    text("unit_code", "Unit", nullable=True),
    text("carrier_code", "Carrier", nullable=True),
    text("contract_id", "Contract in force on the day; empty when none is", nullable=True),
    text("plate", "Vehicle"),
    text("device_id", "Device", nullable=True),
    text("driver_id", "Pseudonymous driver", nullable=True),
    instant("started_at", "Departure"),
    instant("ended_at", "Arrival"),
    text("origin_poi_id", "Place of departure", nullable=True),
    text("destination_poi_id", "Place of arrival", nullable=True),
    text("route_code", "Route", nullable=True),
    text(
        "route_method",
        "How the route was found; one found by text sets no tariff",
        values=("places", "text"),
        nullable=True,
    ),
    text("shift_code", "Shift", nullable=True),
    text("area", "Agricultural or industrial", values=("AGR", "IND"), nullable=True),
    text(
        "area_reason",
        "What decided the area",
        values=("destination_frente", "destination_usina", "origin_frente", "origin_usina", "default_area"),
        nullable=True,
    ),
    text("purpose", "Why the vehicle moved", values=PURPOSES),
    km3("km_odometer", "By odometer", nullable=True),
    km3("km_gps", "By path over accepted points", nullable=True),
    km("km_measured", "Measured km, half-up to 0.01 once per trip", nullable=True, minimum=0),
    text("km_method", "Which measurement counts", values=("odometer", "gps", "report"), nullable=True),
    km3("km_uncertainty", "Half-width of the measurement", nullable=True, minimum=0),
    percent("coverage_pct", "Share of the trip's seconds that were observed", nullable=True),
    text("evidence_grade", "How well it is proved", values=("A", "B", "C")),
    text("source", "Which source measured it", values=("positions", "visit_report")),
    flag("is_end_in_gap", "It ends inside a gap that splits: where it went is not known"),
    integer("legs", "Legs joined", minimum=1),
    text("parameters_version", "Version of the parameters that made the row"),
)

_MOVEMENT_COLUMNS: tuple[Column, ...] = (
    real("moving_s", "Seconds of its steps that are no standing; the others stood", unit="s", nullable=True, minimum=0),
    integer("moving_steps", "Number of these steps, from one position to the next", nullable=True),
    *(
        text(
            f"{side}_candidates",
            f"Places in which {end} can lie whose coordinates are rounded and prove none; beside the place where "
            "documents name the only one; ?: anywhere, as without coordinates",
            nullable=True,
        )
        for side, end in (("origin", "a departure"), ("destination", "an arrival"))
    ),
)

TRIPS = fact_table(
    "trips",
    "Trips: legs of one vehicle joined until a place that ends a trip",
    _TRIP_COLUMNS,
    ("trip_id",),
    ("plate", "started_at", "trip_id"),
    added=_MOVEMENT_COLUMNS,
)

TRIP_WINDOW = Table(
    "trips",
    "trip_window",
    "Trips as the window of a day sees them: its own, and those of the day before and after that matching needs",
    (
        date("date", "Partition: the day whose window this is"),
        *_TRIP_COLUMNS,
        text("origin_text", "Name or address of the departure", nullable=True),
        text("destination_text", "Name or address of the arrival", nullable=True),
        real("max_speed_kmh", "Highest reported speed", unit="km/h", nullable=True),
        real("km_reported", "Part of its km that only a visit report shows", unit="km", nullable=True, minimum=0),
        flag("is_start_in_gap", "It starts inside a gap that splits: where it came from is not known", nullable=True),
        *_MOVEMENT_COLUMNS,
        instant("first_moving_at", "First position in motion", nullable=True),
        integer(
            "track_digest",
            "Digest of its positions in motion, to 1e-6 degrees, and of the time from one to the next; empty where "
            "none is known",
            nullable=True,
        ),
    ),
    key=("date", "trip_id"),
    partition="date",
    sort=("plate", "started_at", "trip_id"),
)

KM_LEDGER = fact_table(
    "km_ledger",
    "Where a vehicle-day's odometer went; no data is null, not zero",
    (
        DAY,
        text("plate", "Vehicle"),
        text("unit_code", "Unit", nullable=True),
        text("carrier_code", "Carrier", nullable=True),
        km("odometer_delta_km", "Last - first reading", nullable=True),
        km("service_km", "Service", nullable=True),
        km("deadhead_km", "Deadhead", nullable=True),
        km("maintenance_km", "Maintenance", nullable=True),
        km("yard_km", "Yard, what the odometer counted inside stops included", nullable=True),
        km("unknown_km", "Purpose unknown", nullable=True),
        km("gap_km", "What the odometer counted over gaps that split legs", nullable=True),
        km("residual_km", "What is left", nullable=True),
        km("uncertainty_km", "Stated uncertainties of the day's trips and readings", nullable=True),
        flag("is_balanced", "|residual| is at most 0.01 km + the uncertainties", nullable=True),
    ),
    ("operational_date", "plate"),
)
