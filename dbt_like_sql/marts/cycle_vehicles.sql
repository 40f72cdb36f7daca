{{ config(materialized='view') }}

with cycles as (
    select
        spans.cycle_start,
        days.plate,
        days.carrier_code,
        days.unit_code,
        max(days.fleet_number) as fleet_number,
        max(days.vehicle_class) as vehicle_class,
        max(days.carrier_name) as carrier_name,
        max(days.unit_name) as unit_name,
        {{ vehicle_day_sums('days') | indent(8) }},
        count(*) filter (where days.is_ledger_balanced is false) as unbalanced_days
    from {{ ref('vehicle_days') }} as days
    inner join
        {{ cycle_spans(ref('vehicle_days')) }} as spans
        on days.operational_date between spans.cycle_start and spans.cycle_end
    group by spans.cycle_start, days.plate, days.carrier_code, days.unit_code
),

amounts as (
    {{ cycle_amounts(['plate', 'carrier_code', 'unit_code']) | indent(4) }}
)

select
    cycles.plate || ' ' || coalesce(cycles.carrier_code, '-') || ' ' || coalesce(cycles.unit_code, '-')
    || ' ' || to_char(cycles.cycle_start, 'YYYY-MM-DD') as cycle_vehicle_id,
    cycles.cycle_start,
    {{ cycle_end('cycles.cycle_start') }} as cycle_end,
    cycles.plate,
    cycles.fleet_number,
    cycles.vehicle_class,
    cycles.carrier_code,
    cycles.carrier_name,
    cycles.unit_code,
    cycles.unit_name,
    {{ cycle_figures('cycles', 'amounts') | indent(4) }},
    cycles.unbalanced_days
from cycles
left join {{ cycle_progress() }} as progress on cycles.cycle_start = progress.cycle_start
left join amounts
    on
        cycles.cycle_start = amounts.cycle_start
        and cycles.plate is not distinct from amounts.plate
        and cycles.carrier_code is not distinct from amounts.carrier_code
        and cycles.unit_code is not distinct from amounts.unit_code
