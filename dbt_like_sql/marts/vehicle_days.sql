with coverage as (
    select
        days.operational_date,
        days.plate,
        days.unit_code,
        days.carrier_code,
        days.status,
        days.observed_h
    from {{ source('fact', 'vehicle_day_coverage') }} as days
    where {{ in_run('days.operational_date') }}
),

ledger as (
    select
        days.operational_date,
        days.plate,
        days.odometer_delta_km,
        days.gap_km,
        days.residual_km,
        days.is_balanced
    from {{ source('fact', 'km_ledger') }} as days
    where {{ in_run('days.operational_date') }}
),

trips as (
    select
        stg.operational_date,
        stg.plate,
        count(*) filter (where stg.purpose <> 'yard') as trips,
        count(*) filter (where stg.purpose = 'service') as service_trips,
        count(*) filter (where stg.km_measured is null) as unmeasured_trips,
        sum(case when stg.purpose = 'service' or stg.km_measured is null then stg.km_measured else 0 end)
            as service_km,
        sum(case when stg.purpose = 'deadhead' or stg.km_measured is null then stg.km_measured else 0 end)
            as deadhead_km,
        sum(case when stg.purpose = 'maintenance' or stg.km_measured is null then stg.km_measured else 0 end)
            as maintenance_km,
        sum(case when stg.purpose = 'yard' or stg.km_measured is null then stg.km_measured else 0 end)
            as yard_km,
        sum(case when stg.purpose = 'unknown' or stg.km_measured is null then stg.km_measured else 0 end)
            as unknown_km,
        sum(stg.km_measured) as measured_km,
        sum(stg.billable_km) filter (where stg.variable_cost_brl is not null) as billable_km,
        sum(stg.variable_cost_brl) as variable_cost_brl,
        count(*) filter (where stg.variable_cost_brl is null) as unpriced_trips,
        sum(stg.compliance_score * stg.km_measured) as score_points,
        sum(stg.km_measured) filter (where stg.compliance_score is not null) as scored_km
    from {{ ref('stg_trips') }} as stg
    where {{ in_run('stg.operational_date') }}
    group by stg.operational_date, stg.plate
),

runs as (
    select
        declared.operational_date,
        declared.plate,
        {{ other_carrier('declared') }} as other_carrier_code,
        count(*) as declared_runs,
        sum(declared.declared_km) as declared_km
    from {{ source('fact', 'declared_runs') }} as declared
    left join coverage
        on declared.operational_date = coverage.operational_date and declared.plate = coverage.plate
    where {{ in_run('declared.operational_date') }}
    group by declared.operational_date, declared.plate, {{ other_carrier('declared') }}
),

held as (
    select
        held_runs.operational_date,
        held_runs.plate,
        {{ other_carrier('held_runs') }} as other_carrier_code,
        count(*) as held_runs,
        sum(held_runs.declared_km) as held_km
    from {{ source('fact', 'held_runs') }} as held_runs
    left join coverage
        on held_runs.operational_date = coverage.operational_date and held_runs.plate = coverage.plate
    -- a phantom run is disallowed, not held
    where
        held_runs.reason <> 'phantom'
        and {{ in_run('held_runs.operational_date') }}
    group by held_runs.operational_date, held_runs.plate, {{ other_carrier('held_runs') }}
),

-- groups with a trip and a run: only there declared and measured km concern the same movement
compared as (
    select
        matches.operational_date,
        matches.plate,
        {{ other_carrier('matches') }} as other_carrier_code,
        count(*) as compared_groups,
        count(*) filter (where matches.is_exceeding) as exceeding_groups,
        sum(matches.declared_km) as compared_declared_km,
        sum(matches.measured_km) as compared_measured_km,
        sum(matches.difference_km) as difference_km
    from {{ source('fact', 'matches') }} as matches
    left join coverage
        on matches.operational_date = coverage.operational_date and matches.plate = coverage.plate
    where
        matches.difference_km is not null
        and {{ in_run('matches.operational_date') }}
    group by matches.operational_date, matches.plate, {{ other_carrier('matches') }}
),

fixed as (
    select
        days.operational_date,
        days.plate,
        sum(days.amount_brl) as fixed_cost_brl
    from {{ source('fact', 'fixed_cost_days') }} as days
    where {{ in_run('days.operational_date') }}
    group by days.operational_date, days.plate
),

findings as (
    select
        stg.operational_date,
        stg.plate,
        {{ other_carrier('stg') }} as other_carrier_code,
        count(*) filter (where stg.status = 'open') as open_findings,
        count(*) filter (where stg.status = 'open' and stg.severity = 'C') as critical_findings,
        count(*) filter (where stg.status = 'excepted') as excepted_findings
    from {{ ref('stg_findings') }} as stg
    left join coverage
        on stg.operational_date = coverage.operational_date and stg.plate = coverage.plate
    where
        stg.plate is not null
        and {{ in_run('stg.operational_date') }}
    group by stg.operational_date, stg.plate, {{ other_carrier('stg') }}
),

amounts as (
    select
        days.operational_date,
        days.plate,
        {{ other_carrier('days') }} as other_carrier_code,
        {{ amount_sum('days.paid_doubtful_brl') }} as paid_doubtful_brl,
        {{ amount_sum('days.disallowed_brl') }} as disallowed_brl,
        {{ amount_sum('days.held_brl') }} as held_brl,
        {{ amount_sum('days.in_favour_brl') }} as in_favour_brl
    from {{ source('fact', 'vehicle_day_amounts') }} as days
    left join coverage
        on days.operational_date = coverage.operational_date and days.plate = coverage.plate
    where {{ in_run('days.operational_date') }}
    group by days.operational_date, days.plate, {{ other_carrier('days') }}
),

-- the day of the vehicle's carrier, and of each other one that declared runs of the vehicle or is accused of it
vehicle_days as (
    select
        coverage.operational_date,
        coverage.plate,
        '' as other_carrier_code
    from coverage
    union
    select
        ledger.operational_date,
        ledger.plate,
        '' as other_carrier_code
    from ledger
    union
    select
        trips.operational_date,
        trips.plate,
        '' as other_carrier_code
    from trips
    union
    select
        runs.operational_date,
        runs.plate,
        runs.other_carrier_code
    from runs
    union
    select
        held.operational_date,
        held.plate,
        held.other_carrier_code
    from held
    union
    select
        compared.operational_date,
        compared.plate,
        compared.other_carrier_code
    from compared
    union
    select
        fixed.operational_date,
        fixed.plate,
        '' as other_carrier_code
    from fixed
    union
    select
        findings.operational_date,
        findings.plate,
        findings.other_carrier_code
    from findings
    union
    select
        amounts.operational_date,
        amounts.plate,
        amounts.other_carrier_code
    from amounts
),

named as (
    select
        vehicle_days.operational_date,
        vehicle_days.plate,
        vehicle_days.other_carrier_code,
        vehicle.fleet_number,
        vehicle.vehicle_class,
        coalesce(vehicle.unit_code, coverage.unit_code) as unit_code,
        coalesce(nullif(vehicle_days.other_carrier_code, ''), coverage.carrier_code, vehicle.carrier_code)
            as carrier_code,
        case when vehicle_days.other_carrier_code = '' then coverage.status end as coverage_status,
        case when vehicle_days.other_carrier_code = '' then coverage.observed_h end as observed_h,
        -- observed all day: a missing movement did not happen; otherwise it is unknown. No movement is the other's
        case when coverage.status = 'complete' or vehicle_days.other_carrier_code <> '' then 0 end as nothing
    from vehicle_days
    left join coverage
        on vehicle_days.operational_date = coverage.operational_date and vehicle_days.plate = coverage.plate
    left join {{ ref('stg_vehicles') }} as vehicle
        on
            vehicle_days.plate = vehicle.plate
            and vehicle_days.operational_date between vehicle.valid_from and vehicle.valid_to
)

select
    rtrim(named.plate || ' ' || to_char(named.operational_date, 'YYYY-MM-DD') || ' ' || named.other_carrier_code)
        as vehicle_day_id,
    named.operational_date,
    named.plate,
    named.fleet_number,
    named.vehicle_class,
    named.unit_code,
    coalesce(units.name, named.unit_code) as unit_name,
    named.carrier_code,
    coalesce(carriers.name, named.carrier_code) as carrier_name,
    named.other_carrier_code <> '' as is_of_other_carrier,
    named.coverage_status,
    named.observed_h,
    coalesce(trips.trips, named.nothing) as trips,
    coalesce(trips.service_trips, named.nothing) as service_trips,
    coalesce(trips.unmeasured_trips, named.nothing) as unmeasured_trips,
    coalesce(trips.service_km, named.nothing) as service_km,
    coalesce(trips.deadhead_km, named.nothing) as deadhead_km,
    coalesce(trips.maintenance_km, named.nothing) as maintenance_km,
    coalesce(trips.yard_km, named.nothing) as yard_km,
    coalesce(trips.unknown_km, named.nothing) as unknown_km,
    coalesce(trips.measured_km, case when trips.plate is null then named.nothing end) as measured_km,
    ledger.odometer_delta_km,
    ledger.gap_km,
    ledger.residual_km,
    ledger.is_balanced as is_ledger_balanced,
    coalesce(runs.declared_runs, 0) as declared_runs,
    runs.declared_km,
    coalesce(compared.compared_groups, 0) as compared_groups,
    coalesce(compared.exceeding_groups, 0) as exceeding_groups,
    compared.compared_declared_km,
    compared.compared_measured_km,
    compared.difference_km,
    round(100 * compared.difference_km / nullif(compared.compared_measured_km, 0), 2) as difference_pct,
    coalesce(held.held_runs, 0) as held_runs,
    held.held_km,
    coalesce(trips.billable_km, case when trips.plate is null then named.nothing end) as billable_km,
    coalesce(trips.variable_cost_brl, case when trips.plate is null then named.nothing end) as variable_cost_brl,
    coalesce(trips.unpriced_trips, named.nothing) as unpriced_trips,
    fixed.fixed_cost_brl,
    coalesce(findings.open_findings, 0) as open_findings,
    coalesce(findings.critical_findings, 0) as critical_findings,
    coalesce(findings.excepted_findings, 0) as excepted_findings,
    case when amounts.plate is null then 0 else amounts.paid_doubtful_brl end as paid_doubtful_brl,
    case when amounts.plate is null then 0 else amounts.disallowed_brl end as disallowed_brl,
    case when amounts.plate is null then 0 else amounts.held_brl end as held_brl,
    case when amounts.plate is null then 0 else amounts.in_favour_brl end as in_favour_brl,
    round(trips.score_points / nullif(trips.scored_km, 0), 2) as compliance_score,
    trips.scored_km,
    trips.score_points
from named
left join {{ source('ref', 'units') }} as units on named.unit_code = units.unit_code
left join {{ source('ref', 'carriers') }} as carriers on named.carrier_code = carriers.carrier_code
left join ledger
    on
        named.operational_date = ledger.operational_date
        and named.plate = ledger.plate
        and named.other_carrier_code = ''
left join trips
    on
        named.operational_date = trips.operational_date
        and named.plate = trips.plate
        and named.other_carrier_code = ''
left join runs
    on
        named.operational_date = runs.operational_date
        and named.plate = runs.plate
        and named.other_carrier_code = runs.other_carrier_code
left join held
    on
        named.operational_date = held.operational_date
        and named.plate = held.plate
        and named.other_carrier_code = held.other_carrier_code
left join compared
    on
        named.operational_date = compared.operational_date
        and named.plate = compared.plate
        and named.other_carrier_code = compared.other_carrier_code
left join fixed
    on
        named.operational_date = fixed.operational_date
        and named.plate = fixed.plate
        and named.other_carrier_code = ''
left join findings
    on
        named.operational_date = findings.operational_date
        and named.plate = findings.plate
        and named.other_carrier_code = findings.other_carrier_code
left join amounts
    on
        named.operational_date = amounts.operational_date
        and named.plate = amounts.plate
        and named.other_carrier_code = amounts.other_carrier_code
