{{ config(materialized='view') }}

with exceeding as (
    select
        matches.match_id,
        matches.operational_date,
        spans.cycle_start,
        matches.plate,
        matches.carrier_code,
        matches.unit_code,
        matches.kind,
        matches.trip_ids,
        matches.declared_run_ids,
        matches.declared_km,
        matches.measured_km,
        matches.difference_km,
        matches.difference_pct
    from {{ source('fact', 'matches') }} as matches
    inner join
        {{ cycle_spans(source('fact', 'matches')) }} as spans
        on matches.operational_date between spans.cycle_start and spans.cycle_end
    where matches.is_exceeding
)

select
    exceeding.match_id,
    exceeding.cycle_start,
    exceeding.operational_date,
    row_number() over (
        partition by exceeding.cycle_start
        order by found.brl_at_stake desc nulls last, abs(exceeding.difference_km) desc, exceeding.match_id asc
    ) as position,
    exceeding.plate,
    vehicle.fleet_number,
    exceeding.carrier_code,
    coalesce(carriers.name, exceeding.carrier_code) as carrier_name,
    exceeding.unit_code,
    coalesce(units.name, exceeding.unit_code) as unit_name,
    exceeding.kind,
    cardinality(exceeding.trip_ids) as trips,
    cardinality(exceeding.declared_run_ids) as declared_runs,
    exceeding.declared_km,
    exceeding.measured_km,
    exceeding.difference_km,
    exceeding.difference_pct,
    found.brl_at_stake,
    found.amount,
    found.finding_id,
    found.rule_id,
    found.status,
    found.confidence,
    found.explanation_pt
from exceeding
-- D01 and D04 of the group: one finding per group, dated within a day of it
left join lateral (
    select
        stg.finding_id,
        stg.rule_id,
        stg.status,
        stg.brl_at_stake,
        stg.amount,
        stg.confidence,
        stg.explanation_pt
    from {{ ref('stg_findings') }} as stg
    where
        exceeding.plate = stg.plate
        and stg.operational_date between exceeding.operational_date - 1 and exceeding.operational_date + 1
        and stg.rule_id in ('D01', 'D04')
        and (stg.trip_id = any(exceeding.trip_ids) or stg.declared_run_id = any(exceeding.declared_run_ids))
    order by stg.finding_id asc
    limit 1
) as found on true
left join {{ source('ref', 'carriers') }} as carriers on exceeding.carrier_code = carriers.carrier_code
left join {{ source('ref', 'units') }} as units on exceeding.unit_code = units.unit_code
left join {{ ref('stg_vehicles') }} as vehicle
    on
        exceeding.plate = vehicle.plate
        and exceeding.operational_date between vehicle.valid_from and vehicle.valid_to
