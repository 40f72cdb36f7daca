"""Reference tables (`ref` in PostgreSQL, `reference/<table>.csv` in the inbox): contracts and what they refer to.

Only columns that a file brings; what the pipeline computes is in `facts`.
"""

from __future__ import annotations

from fleet_audit.schema.model import Column, Table, Type, brl, date, flag, integer, km, percent, rate, real, text

_VALIDITY = (
    date("valid_from", "First local day on which the row holds", nullable=True),
    date("valid_to", "Last local day on which the row holds; empty = open-ended", nullable=True),
)
_AREA = ("AGR", "IND")
VEHICLE_CLASSES = ("onibus", "micro", "van")
REGIMES = ("municipal", "intermunicipal")
CONTRACT_KINDS = ("contrato", "spot")
POI_KINDS = ("usina", "frente", "garagem", "alojamento", "ponto", "oficina", "posto")

UNITS = Table(
    "ref",
    "units",
    "Mills, each with its own time zone",
    (
        text("unit_code", "Unit"),
        text("name", "Name that people use", nullable=True),
        text("timezone", "IANA time zone of its operational day"),
        text("cost_center", "Cost centre that its costs are booked on", nullable=True),
    ),
    key=("unit_code",),
)

CARRIERS = Table(
    "ref",
    "carriers",
    "Transport companies",
    (text("carrier_code", "Carrier"), text("name", "Company name", nullable=True)),
    key=("carrier_code",),
)

CONTRACTS = Table(
    "ref",
    "contracts",
    "Contracts between the group and a carrier, with their tolerances",
    (
        text("contract_id", "Contract"),
        text("carrier_code", "Carrier"),
        text("unit_code", "Unit"),
        text("kind", "Standing contract or spot", values=CONTRACT_KINDS, nullable=True),
        text(
            "deadhead_rule",
            "How empty runs are paid; empty is read as unpaid",
            values=("unpaid", "paid", "capped"),
            nullable=True,
        ),
        percent(
            "deadhead_cap_pct", "Share of the vehicle-day's service km up to which deadhead is paid", nullable=True
        ),
        percent("trip_tolerance_pct", "Tolerated divergence of one matched group", nullable=True),
        km("trip_tolerance_km", "Tolerated divergence of one matched group", nullable=True),
        percent("day_tolerance_pct", "Tolerated divergence of a vehicle-day", nullable=True),
        percent("cycle_tolerance_pct", "Tolerated divergence of a vehicle-cycle", nullable=True),
        *_VALIDITY,
    ),
    key=("contract_id", "valid_from"),
)

VEHICLES = Table(
    "ref",
    "vehicles",
    "Vehicles and the contract each works under; several dated rows are possible",
    (
        text("plate", "Plate, upper case, without separators"),
        text("fleet_number", "The carrier's own number", nullable=True),
        text("carrier_code", "Carrier", nullable=True),
        text("unit_code", "Unit that it serves; gives the time zone of its day"),
        text("contract_id", "Contract", nullable=True),
        text("vehicle_class", "Class that the tariff depends on", values=VEHICLE_CLASSES, nullable=True),
        text("default_area", "Area of trips that touch no workplace", values=_AREA, nullable=True),
        integer("seats", "Seats", nullable=True, minimum=0),
        text("status", "In regular use or in reserve", values=("ativo", "reserva"), nullable=True),
        text("titular_plate", "Vehicle that a reserve replaces", nullable=True),
        *_VALIDITY,
    ),
    key=("plate", "valid_from"),
)

DEVICES = Table(
    "ref",
    "devices",
    "Which telematics device sits in which vehicle, changing at local midnight",
    (text("device_id", "Device"), text("plate", "Vehicle"), *_VALIDITY),
    key=("device_id", "plate", "valid_from"),
)

DRIVERS = Table(
    "ref",
    "drivers",
    "The only table with drivers' names (personal data)",
    (
        text("driver_id", "Pseudonymous driver"),
        text("name", "Name as a source gives it", nullable=True),
        text("carrier_code", "Carrier", nullable=True),
        flag("is_maintenance", "Drives for maintenance only", nullable=True),
    ),
    key=("driver_id",),
)

POIS = Table(
    "ref",
    "pois",
    "Places (points of interest): circle, polygon or address pattern, dated",
    (
        text("poi_id", "Place"),
        text("unit_code", "Unit", nullable=True),
        text("name", "Name that people use", nullable=True),
        text("kind", "What happens there", values=POI_KINDS),
        real("latitude", "Centre, WGS 84", unit="°", nullable=True, minimum=-90, maximum=90),
        real("longitude", "Centre, WGS 84", unit="°", nullable=True, minimum=-180, maximum=180),
        real("radius_m", "Radius of the circle", unit="m", nullable=True, minimum=0),
        text("polygon_wkt", "Outline, WGS 84; wins over the circle", nullable=True),
        text("address_pattern", "Part of an address, case and accents ignored", nullable=True),
        *_VALIDITY,
    ),
    key=("poi_id", "valid_from"),
)

SHIFTS = Table(
    "ref",
    "shifts",
    "Work shifts of a unit",
    (
        text("unit_code", "Unit"),
        text("shift_code", "Shift"),
        text("start_local", "Start, HH:MM"),
        text("end_local", "End, HH:MM; may be past midnight"),
        text("weekdays", "ISO weekdays, e.g. 1-5 or 1,3,5", nullable=True),
        integer("tolerance_min", "How far from a start or end a trip may lie", unit="min", nullable=True, minimum=0),
    ),
    key=("unit_code", "shift_code", "start_local", "weekdays"),
)

ROUTES = Table(
    "ref",
    "routes",
    "Contracted routes",
    (
        text("route_code", "Route"),
        text("unit_code", "Unit", nullable=True),
        text("name", "Name", nullable=True),
        text("area", "Agricultural or industrial", values=_AREA, nullable=True),
        text("regime", "Within one municipality or not", values=REGIMES, nullable=True),
        text("origin_poi_id", "Place where it starts", nullable=True),
        text("destination_poi_id", "Place where it ends", nullable=True),
        km("expected_km", "Length", nullable=True, minimum=0),
        text("keywords", "Words that name it, separated by ;", nullable=True),
    ),
    key=("route_code",),
)

TARIFFS = Table(
    "ref",
    "tariffs",
    "Price of a variable kilometre; an empty key column means any",
    (
        text("tariff_id", "Tariff"),
        text("contract_id", "Contract"),
        text("route_code", "Route; empty = any", nullable=True),
        text("vehicle_class", "Class; empty = any", values=VEHICLE_CLASSES, nullable=True),
        text("area", "Area; empty = any", values=_AREA, nullable=True),
        text("regime", "Regime; empty = any", values=REGIMES, nullable=True),
        rate("rate_brl_per_km", "Price"),
        *_VALIDITY,
    ),
    key=("tariff_id", "valid_from"),
)

FIXED_COSTS = Table(
    "ref",
    "fixed_costs",
    "Monthly fixed amount of a vehicle",
    (
        text("contract_id", "Contract"),
        text("plate", "Vehicle"),
        brl("amount_brl_per_month", "Amount for a whole cycle", minimum=0),
        *_VALIDITY,
    ),
    key=("contract_id", "plate", "valid_from"),
)

KM_PLAN = Table(
    "ref",
    "km_plan",
    "Planned km and trips of a vehicle on a route in a cycle",
    (
        date("cycle_start", "First day of the cycle"),
        text("plate", "Vehicle"),
        text("route_code", "Route", nullable=True),
        km("planned_km", "Planned km of the whole cycle", minimum=0),
        integer("planned_trips", "Planned trips of the whole cycle", nullable=True, minimum=0),
        text("weekdays", "ISO weekdays on which it runs", nullable=True),
    ),
    key=("cycle_start", "plate", "route_code"),
)

CALENDAR = Table(
    "ref",
    "calendar",
    "Kind of day per unit",
    (
        date("date", "Day"),
        text("unit_code", "Unit"),
        text("day_type", "Kind of day", values=("util", "sabado", "domingo", "feriado")),
    ),
    key=("date", "unit_code"),
)

INVOICES = Table(
    "ref",
    "invoices",
    "What a carrier billed, line by line",
    (
        text("contract_id", "Contract"),
        date("cycle_start", "First day of the cycle"),
        text("plate", "Vehicle; empty in a credit note for the contract", nullable=True),
        text("vehicle_class", "Class that was billed", values=VEHICLE_CLASSES, nullable=True),
        km("billed_km", "Billed km; below zero in a credit note", nullable=True),
        rate("rate_brl_per_km", "Billed price", nullable=True),
        brl("variable_brl", "Billed variable cost", nullable=True),
        brl("fixed_brl", "Billed fixed cost", nullable=True),
    ),
    key=("contract_id", "cycle_start", "plate", "vehicle_class", "rate_brl_per_km", "billed_km", "variable_brl",
         "fixed_brl"),
)  # fmt: skip

EXCEPTIONS = Table(
    "ref",
    "exceptions",
    "Approved exceptions: they mark a finding, they never hide it",
    (
        text("exception_id", "Exception"),
        text("rule_id", "Rule; empty = any", nullable=True),
        text("plate", "Vehicle; empty = any", nullable=True),
        text("carrier_code", "Carrier; empty = any", nullable=True),
        text("unit_code", "Unit; empty = any", nullable=True),
        text("route_code", "Route; empty = any", nullable=True),
        date("date_from", "First day", nullable=True),
        date("date_to", "Last day", nullable=True),
        text("reason", "Why"),
        text("approved_by", "Who approved it"),
    ),
    key=("exception_id",),
)

SAMPLE_REVIEWS = Table(
    "ref",
    "sample_reviews",
    "What a person found in trips of a cycle's sample (optional file)",
    (
        date("cycle_start", "First day of the cycle"),
        text("trip_id", "Trip of the sample"),
        km("audited_km", "Km that should have been paid; empty: audited_brl says it", nullable=True, minimum=0),
        brl(
            "audited_brl", "What should have been paid; empty: audited_km at the trip's rate", nullable=True, minimum=0
        ),
        text("reviewer", "Who reviewed it"),
        text("note", "What the reviewer saw", nullable=True),
    ),
    key=("cycle_start", "trip_id"),
)

PARAMETERS = Table(
    "ref",
    "parameters",
    "Deviations from the default parameters of the rules, dated (optional file)",
    (
        text("name", "Parameter, as listed in docs/parameters.md"),
        Column("value", Type.FLOAT, "Value in the parameter's own unit"),
        *_VALIDITY,
    ),
    key=("name", "valid_from"),
)

TABLES = (
    UNITS,
    CARRIERS,
    CONTRACTS,
    VEHICLES,
    DEVICES,
    DRIVERS,
    POIS,
    SHIFTS,
    ROUTES,
    TARIFFS,
    FIXED_COSTS,
    KM_PLAN,
    CALENDAR,
    INVOICES,
    EXCEPTIONS,
    PARAMETERS,
    SAMPLE_REVIEWS,
)
REQUIRED = ("units", "carriers", "contracts", "vehicles")  # without these no kilometre can be attributed at all
BY_NAME = {table.name: table for table in TABLES}
