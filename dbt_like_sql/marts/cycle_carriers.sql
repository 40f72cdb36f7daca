{{ config(materialized='view') }}

with days as (
    select
        vehicle_days.*,
        -- moved back so that a cycle begins on the first of a month, and forth again
        cast(date_trunc('month', cast(
            vehicle_days.operational_date - ({{ var('closing_day') }} - 1) as timestamp
        )) as date) + ({{ var('closing_day') }} - 1) as cycle_start
    from {{ ref('vehicle_days') }} as vehicle_days
),

cycles as (
    select
        days.cycle_start,
        days.carrier_code,
        days.unit_code,
        max(days.carrier_name) as carrier_name,
        max(days.unit_name) as unit_name,
        count(distinct days.operational_date) as days_with_rows,
        count(distinct days.plate) as vehicles,
        count(*) as vehicle_days,
        count(*) filter (where days.coverage_status = 'silent') as silent_vehicle_days,
        sum(days.trips) as trips,
        sum(days.service_trips) as service_trips,
        sum(days.service_km) as service_km,
        sum(days.deadhead_km) as deadhead_km,
        sum(days.measured_km) as measured_km,
        sum(days.declared_runs) as declared_runs,
        sum(days.declared_km) as declared_km,
        sum(days.compared_measured_km) as compared_measured_km,
        sum(days.difference_km) as difference_km,
        sum(days.held_km) as held_km,
        sum(days.held_brl) as held_brl,
        sum(days.billable_km) as billable_km,
        sum(days.variable_cost_brl) as variable_cost_brl,
        sum(days.unpriced_trips) as unpriced_trips,
        sum(days.fixed_cost_brl) as fixed_cost_brl,
        sum(coalesce(days.variable_cost_brl + days.fixed_cost_brl, days.variable_cost_brl, days.fixed_cost_brl))
            as known_cost_brl,
        sum(days.open_findings) as open_findings,
        sum(days.critical_findings) as critical_findings,
        sum(days.stake_brl) as day_stake_brl,
        sum(days.score_points) as score_points,
        sum(days.scored_km) as scored_km
    from days
    group by days.cycle_start, days.carrier_code, days.unit_code
)

select
    coalesce(cycles.carrier_code, '-') || ' ' || coalesce(cycles.unit_code, '-')
    || ' ' || to_char(cycles.cycle_start, 'YYYY-MM-DD') as cycle_carrier_id,
    cycles.cycle_start,
    cast(cycles.cycle_start + interval '1 month' as date) - 1 as cycle_end,
    cycles.carrier_code,
    cycles.carrier_name,
    cycles.unit_code,
    cycles.unit_name,
    cycles.days_with_rows,
    cycles.vehicles,
    cycles.vehicle_days,
    cycles.silent_vehicle_days,
    cycles.trips,
    cycles.service_trips,
    cycles.service_km,
    cycles.deadhead_km,
    cycles.measured_km,
    cycles.declared_runs,
    cycles.declared_km,
    cycles.difference_km,
    round(100 * cycles.difference_km / nullif(cycles.compared_measured_km, 0), 2) as difference_pct,
    cycles.held_km,
    cycles.held_brl,
    cycles.billable_km,
    cycles.variable_cost_brl,
    cycles.unpriced_trips,
    cycles.fixed_cost_brl,
    cycles.known_cost_brl,
    round(cycles.known_cost_brl / nullif(cycles.measured_km, 0), 4) as cost_brl_per_km,
    cycles.open_findings,
    cycles.critical_findings,
    cycles.day_stake_brl,
    round(cycles.score_points / nullif(cycles.scored_km, 0), 2) as compliance_score
from cycles
