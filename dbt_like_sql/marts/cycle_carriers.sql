{{ config(materialized='view') }}

with cycles as (
    select
        {{ cycle_start('days.operational_date') }} as cycle_start,
        days.carrier_code,
        days.unit_code,
        max(days.carrier_name) as carrier_name,
        max(days.unit_name) as unit_name,
        {{ vehicle_day_sums('days') | indent(8) }}
    from {{ ref('vehicle_days') }} as days
    group by cycle_start, days.carrier_code, days.unit_code
)

select
    coalesce(cycles.carrier_code, '-') || ' ' || coalesce(cycles.unit_code, '-')
    || ' ' || to_char(cycles.cycle_start, 'YYYY-MM-DD') as cycle_carrier_id,
    cycles.cycle_start,
    {{ cycle_end('cycles.cycle_start') }} as cycle_end,
    cycles.carrier_code,
    cycles.carrier_name,
    cycles.unit_code,
    cycles.unit_name,
    {{ cycle_figures('cycles') | indent(4) }}
from cycles
