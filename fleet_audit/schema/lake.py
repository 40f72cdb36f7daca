"""Lake tables: rows parsed from files and pages (`parsed`), the same per day in UTC (`staging`), movement (`trips`).

`parsed` rows hold the wall clock as written, because a file does not know its unit's zone; `staging` rows hold UTC.
"""

from __future__ import annotations

from dataclasses import replace

from fleet_audit.schema.model import Column, Table, date, flag, instant, integer, km, local, percent, real, text

_ORIGIN = (
    text("file_sha256", "SHA-256 of the file or page that holds the row"),
    text("file_name", "Its name, inside its inbox folder"),
    integer(
        "row_number",
        "Line of the file (1 = first, through all sheets of a workbook), or item of the page (1 = first item)",
        minimum=1,
    ),
)

# The API cuts and orders pages arbitrarily, so its positions name no page: the same positions give the same bytes.
_FILE_ORIGIN = tuple(
    replace(column, nullable=True, description=f"{column.description}; null for the API's") for column in _ORIGIN
)

_VISIT_FACTS: tuple[Column, ...] = (
    text("plate", "Vehicle (Número de registro)"),
    text("device_id", "Device (ID do ativo)", nullable=True),
    text("asset_description", "Descrição do ativo, as written", nullable=True),
    text("garage_name", "Nome da garagem", nullable=True),
    text("driver_id", "Pseudonymous driver; Unknown and empty are none", nullable=True),
    flag("is_maintenance_driver", "The driver's text contains manutenção"),
    text("origin_address", "Saída de", nullable=True),
    text("destination_address", "Chegou em", nullable=True),
    km("reported_km", "distância (km)", nullable=True, minimum=0),
    real("max_speed_kmh", "Vel max (Km/h)", unit="km/h", nullable=True, minimum=0),
    integer("driving_s", "Tempo de Condução", unit="s", nullable=True, minimum=0),
    integer("stopped_s", "Tempo parado na localidade, after the arrival", unit="s", nullable=True, minimum=0),
)

PARSED_VISIT_LEGS = Table(
    "parsed",
    "visit_legs",
    "Movements of a visit report, clock as written",
    (
        local("departed_local", "Data de saída + Horário de saída"),
        local("arrived_local", "Hora de chegada; the day after when earlier than the departure"),
        local("next_departure_local", "Próxima Partida", nullable=True),
        *_VISIT_FACTS,
        *_ORIGIN,
    ),
    key=("file_sha256", "row_number"),
    sort=("plate", "departed_local", "row_number"),
)

STAGING_VISIT_LEGS = Table(
    "staging",
    "visit_legs",
    "Movements of visit reports, one row per movement from stop to stop",
    (
        date("date", "Local day of the departure (partition)"),
        instant("started_at", "Departure"),
        instant("ended_at", "Arrival"),
        instant("next_departure_at", "Next departure that the report names", nullable=True),
        *_VISIT_FACTS,
        *_ORIGIN,
    ),
    key=("file_sha256", "file_name", "row_number"),
    partition="date",
    sort=("plate", "started_at", "file_name", "row_number"),
)

_DECLARED_FACTS: tuple[Column, ...] = (
    text("bulletin_number", "NUMERO ATA", nullable=True),
    text("plate", "PLACA, normalised"),
    text("fleet_number", "EQUIPAMENTO", nullable=True),
    text("carrier_code", "EMPRESA", nullable=True),
    date("declared_date", "DATA as written: the shift's day"),
    text("shift_code", "TURNO", nullable=True),
    km("odometer_start_km", "KM SAÍDA", nullable=True, minimum=0),
    km("odometer_end_km", "KM CHEGADA", nullable=True, minimum=0),
    km("route_km", "KM ROTA", nullable=True, minimum=0),
    km("declared_km", "What is claimed: KM ROTA, else KM CHEGADA - KM SAÍDA", minimum=0),
    integer("passengers", "QTDE PESSOAS", nullable=True, minimum=0),
    percent("occupancy_pct", "TAXA LOTAÇÃO", nullable=True),
    text("origin_code", "CÓDIGO", nullable=True),
    text("origin_text", "LOCAL SAÍDA", nullable=True),
    text("destination_code", "CÓDIGO2", nullable=True),
    text("destination_text", "LOCAL CHEGADA", nullable=True),
)

PARSED_DECLARED_RUNS = Table(
    "parsed",
    "declared_runs",
    "Rows of a bulletin, clock as written",
    (
        text("declared_run_id", "Hash of the row's content: the same row in two files is one run"),
        local("departed_local", "DATA + HORÁRIO SAÍDA"),
        local(
            "arrived_local",
            "DATA + HORÁRIO CHEGADA; the day after when it is earlier than the departure; "
            "over 16 h: departure + km at 60 km/h",
        ),
        *_DECLARED_FACTS,
        *_ORIGIN,
    ),
    key=("file_sha256", "row_number"),
    sort=("plate", "departed_local", "row_number"),
)

STAGING_DECLARED_RUNS = Table(
    "staging",
    "declared_runs",
    "Declared runs on the day that the carrier wrote",
    (
        date("date", "declared_date (partition)"),
        text("declared_run_id", "Hash of the row's content"),
        instant("started_at", "Departure as written"),
        instant("ended_at", "Arrival as written"),
        *_DECLARED_FACTS,
        *_ORIGIN,
    ),
    key=("declared_run_id",),
    partition="date",
    sort=("plate", "started_at", "declared_run_id"),
)

_POSITION_FACTS: tuple[Column, ...] = (
    text("device_id", "Device"),
    instant("recorded_at", "Instant of the position (event time)"),
    real("latitude", "WGS 84", unit="°", nullable=True, minimum=-90, maximum=90),
    real("longitude", "WGS 84", unit="°", nullable=True, minimum=-180, maximum=180),
    real("speed_kmh", "Speed that the device reports", unit="km/h", nullable=True, minimum=0),
    real("odometer_km", "Odometer", unit="km", nullable=True, minimum=0),
    flag("ignition", "Ignition on", nullable=True),
    text("driver_id", "Driver that the device names", nullable=True),
    integer("passengers", "Passengers counted", nullable=True, minimum=0),
    text("trip_key", "viagemId of a telemetry file; empty = loose event", nullable=True),
    text("source", "Where it came from", values=("api", "file")),
)

PARSED_POSITIONS = Table(
    "parsed",
    "positions",
    "Positions of one telemetry file or API page",
    (*_POSITION_FACTS, *_ORIGIN),
    key=("file_sha256", "row_number"),
    sort=("device_id", "recorded_at", "row_number"),
)

STAGING_POSITIONS = Table(
    "staging",
    "positions",
    "Positions, one row per device and instant",
    (
        date("date", "Day of the event in America/Sao_Paulo (partition, only an address)"),
        *_POSITION_FACTS,
        *_FILE_ORIGIN,
    ),
    key=("device_id", "recorded_at", "trip_key"),
    partition="date",
    sort=("device_id", "recorded_at", "trip_key"),
)

PARSED_NOTES = Table(
    "parsed",
    "source_notes",
    "Where a source contradicts itself, found while reading it (Q05)",
    (
        text("source_kind", "Kind of the source", values=("visit_report", "bulletin", "telemetry", "positions")),
        text(
            "note_code",
            "What contradicts",
            values=(
                "total_km_mismatch",
                "total_driving_mismatch",
                "total_stopped_mismatch",
                "duration_mismatch",
                "plate_spelling",
                "plate_form",
                "outside_window",
                "arrival_unreadable",
                "gps_week_rollover",
                "wrong_type",
            ),
        ),
        text("plate", "Vehicle; as parsed from a telemetry file its device", nullable=True),
        date("date", "Local day that it concerns (partition)", nullable=True),
        text("expected", "Value in one part of the source", nullable=True),
        text("found", "Value in the other part", nullable=True),
        km("difference_km", "Difference, where it is one of km", nullable=True),
        *_ORIGIN,
    ),
    partition="date",
    sort=("plate", "file_name", "row_number", "note_code"),
)
STAGING_NOTES = Table(
    "staging",
    "source_notes",
    "Contradictions inside a source, of the versions in force",
    PARSED_NOTES.columns,
    partition="date",
    sort=PARSED_NOTES.sort,
)

PARSED_COVERAGE = Table(
    "parsed",
    "coverage",
    "Vehicle-days that a file speaks of",
    (text("owner", "Plate, or device of a telemetry file"), date("date", "Local day")),
    key=("owner", "date"),
    sort=("owner", "date"),
)

LEGS = Table(
    "trips",
    "legs",
    "Movements between two stops, from positions or visit reports",
    (
        text("leg_id", "Hash of vehicle, device, start and source"),
        text("trip_id", "Trip that it belongs to"),
        date("operational_date", "Local day on which its trip starts (partition)"),
        text("plate", "Vehicle"),
        text("device_id", "Device", nullable=True),
        text("driver_id", "Driver", nullable=True),
        flag("is_maintenance_driver", "A maintenance driver, or the driver's text contains manutenção"),
        instant("started_at", "Last standing point before the movement"),
        instant("ended_at", "First standing point after it"),
        real("origin_latitude", "Median of the stop before", unit="°", nullable=True),
        real("origin_longitude", "Median of the stop before", unit="°", nullable=True),
        text("origin_address", "Address that the source gives", nullable=True),
        text("origin_poi_id", "Place of the stop before, on the local day of departure", nullable=True),
        real("destination_latitude", "Median of the stop after", unit="°", nullable=True),
        real("destination_longitude", "Median of the stop after", unit="°", nullable=True),
        text("destination_address", "Address that the source gives", nullable=True),
        text("destination_poi_id", "Place of the stop after, on the local day of arrival", nullable=True),
        real("km_odometer", "Odometer difference between the stops' readings", unit="km", nullable=True),
        real("km_gps", "Path over accepted points, longer steps bridged", unit="km", nullable=True),
        real("km_reported", "Distance that the visit report gives", unit="km", nullable=True),
        real(
            "km_bridged",
            "Part of km_odometer and km_gps that is the same by construction (steps over 180 s)",
            unit="km",
            nullable=True,
        ),
        real("km_chord", "Part bridged by chords, without a reading (steps over 15 s)", unit="km", nullable=True),
        real("km_long_chord", "Part of km_chord in steps over 180 s", unit="km", nullable=True),
        real(
            "km_fine",
            "Part of km_gps in steps of at most 60 s, where odometer and GPS can be compared",
            unit="km",
            nullable=True,
        ),
        flag("is_odometer_valid", "The odometer never falls nor jumps in between", nullable=True),
        real("odometer_start_km", "Last reading of the stop before, else the leg's first", unit="km", nullable=True),
        real("odometer_end_km", "First reading of the stop after, else the leg's last", unit="km", nullable=True),
        flag("is_ignition_off_before", "Ignition off at the first position of the stop before", nullable=True),
        flag("is_ignition_off_after", "Ignition off at the last position of the stop after", nullable=True),
        real("odometer_resolution_km", "Resolution of the readings used", unit="km", nullable=True),
        real("covered_s", "Seconds in steps of at most 120 s, or 11 min in place", unit="s", nullable=True),
        real("max_speed_kmh", "Highest reported speed", unit="km/h", nullable=True),
        integer("passengers_readings", "Number of passenger readings"),
        integer("passengers_max", "Highest passenger reading", nullable=True),
        integer("gaps", "Gaps noted (> 11 min, ends > 150 m apart)"),
        flag("is_short", "Below the shortest leg: part of the dwell around it"),
        flag("is_start_in_gap", "It starts inside a gap that splits: no place is known"),
        flag("is_end_in_gap", "It ends inside a gap that splits: no place is known"),
        real("dwell_s", "Observed dwell after the arrival, until the next leg", unit="s", nullable=True),
        text("source", "Which source measured it", values=("positions", "visit_report")),
        text("file_sha256", "File of the visit report", nullable=True),
        integer("row_number", "Row of the visit report", nullable=True),
        text(
            "superseded_by_trip_id",
            "Trip of positions that measured the same movement: this leg is evidence only; observed: positions saw "
            "that there was none; other_clock: the day of the visit report whose clock is hours off",
            nullable=True,
        ),
    ),
    key=("leg_id",),
    partition="operational_date",
    sort=("plate", "started_at", "leg_id"),
)

OBSERVED_SPANS = Table(
    "trips",
    "observed_spans",
    "When a vehicle was observed, moving or standing",
    (
        date("date", "Partition: the day whose window this was seen from"),
        text("plate", "Vehicle"),
        instant("started_at", "Start"),
        instant("ended_at", "End"),
        text("source", "Which source saw it", values=("positions", "visit_report")),
        real(
            "counted_before_km",
            "What the odometer counted since the device's span before, 0 if found where it stood; null: not known",
            unit="km",
            nullable=True,
        ),
    ),
    partition="date",
    sort=("plate", "started_at", "source"),
)

REJECTED_POINTS = Table(
    "trips",
    "rejected_points",
    "Positions that segmentation rejected, with the reason",
    (
        date("date", "Local day of the position (partition)"),
        text("plate", "Vehicle"),
        text("device_id", "Device"),
        instant("recorded_at", "Instant"),
        real("latitude", "WGS 84", unit="°"),
        real("longitude", "WGS 84", unit="°"),
        text("reason_code", "Why", values=("impossible_speed", "lone_outlier", "parked_drift", "no_fix")),
    ),
    partition="date",
    sort=("plate", "recorded_at", "device_id"),
)

READINGS = Table(
    "trips",
    "odometer_days",
    "Odometer of a vehicle-day, per device, for the ledger",
    (
        date("operational_date", "Local day (partition)"),
        text("plate", "Vehicle"),
        text("device_id", "Device"),
        instant("first_reading_at", "First reading that belongs to the day", nullable=True),
        instant(
            "last_reading_at", "Last reading that belongs to the day, an overnight trip's tail included", nullable=True
        ),
        real("odometer_delta_km", "Last reading - first reading, in pieces at resets", unit="km", nullable=True),
        real("gap_km", "What the odometer counted over gaps that split", unit="km", nullable=True),
        real("dwell_km", "What the odometer counted inside stops", unit="km", nullable=True),
        real("odometer_resolution_km", "Resolution of the readings", unit="km", nullable=True),
        integer("resets", "Falls to below 10 km that count on from there"),
        integer("positions", "Positions of the day"),
    ),
    partition="operational_date",
    sort=("plate", "device_id"),
)

DWELL_COUNTS = Table(
    "trips",
    "dwell_counts",
    "What an odometer counted while the positions stood, from reading to reading",
    (
        date("date", "Partition: the day whose window this was seen from"),
        text("plate", "Vehicle"),
        text("device_id", "Device"),
        instant("started_at", "Reading before"),
        instant("ended_at", "Reading after"),
        real("counted_km", "Difference of the readings; null: they contradict each other", unit="km", nullable=True),
    ),
    partition="date",
    sort=("plate", "started_at", "device_id"),
)

ROUNDED_VEHICLES = Table(
    "trips",
    "rounded_vehicles",
    "Vehicles that stop at rounded coordinates: declared runs have an influence on the trips of no other vehicle",
    (date("date", "Partition: the day whose window this was seen from"), text("plate", "Vehicle")),
    key=("plate",),
    partition="date",
    sort=("plate",),
)

ODOMETER_EVENTS = Table(
    "trips",
    "odometer_events",
    "What an odometer did that its vehicle did not, reading by reading",
    (
        date("operational_date", "Day of the trip that holds it, else the local day on which it ends (partition)"),
        text("plate", "Vehicle"),
        text("device_id", "Device"),
        text(
            "kind",
            "fall; reset: to below 10 km, counting on from there; jump; frozen: the path went on; parked: it did not",
            values=("fall", "reset", "jump", "frozen", "parked"),
        ),
        flag("is_lone", "A single reading: the one after it goes on where the one before it was"),
        instant("started_at", "Reading before"),
        instant("ended_at", "Reading after"),
        real("odometer_from_km", "Reading before", unit="km"),
        real("odometer_to_km", "Reading after", unit="km"),
        real("path_km", "Way between them by position", unit="km", nullable=True),
        real("latitude_from", "Where, WGS 84", unit="°", nullable=True),
        real("longitude_from", "Where, WGS 84", unit="°", nullable=True),
        real("latitude_to", "Where, WGS 84", unit="°", nullable=True),
        real("longitude_to", "Where, WGS 84", unit="°", nullable=True),
        text("continued_plate", "Other vehicle whose odometer a fall or jump continues", nullable=True),
        text("continued_device_id", "Its device", nullable=True),
        instant("continued_at", "Its reading that is continued", nullable=True),
        real("continued_km", "Its reading that is continued", unit="km", nullable=True),
        flag("is_mutual", "That vehicle's own fall or jump continues this one's odometer, too", nullable=True),
    ),
    partition="operational_date",
    sort=("plate", "device_id", "started_at", "kind"),
)

TABLES = (
    PARSED_VISIT_LEGS,
    PARSED_DECLARED_RUNS,
    PARSED_POSITIONS,
    PARSED_NOTES,
    PARSED_COVERAGE,
    STAGING_VISIT_LEGS,
    STAGING_DECLARED_RUNS,
    STAGING_POSITIONS,
    STAGING_NOTES,
    LEGS,
    OBSERVED_SPANS,
    REJECTED_POINTS,
    READINGS,
    DWELL_COUNTS,
    ROUNDED_VEHICLES,
    ODOMETER_EVENTS,
)
