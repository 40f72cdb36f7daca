{{ config(materialized='view') }}

with cycles as (
    select
        {{ cycle_start('days.operational_date') }} as cycle_start,
        days.unit_code,
        max(days.unit_name) as unit_name,
        count(distinct days.carrier_code) as carriers,
        {{ vehicle_day_sums('days') | indent(8) }}
    from {{ ref('vehicle_days') }} as days
    group by cycle_start, days.unit_code
)

select
    coalesce(cycles.unit_code, '-') || ' ' || to_char(cycles.cycle_start, 'YYYY-MM-DD') as cycle_unit_id,
    cycles.cycle_start,
    {{ cycle_end('cycles.cycle_start') }} as cycle_end,
    cycles.unit_code,
    cycles.unit_name,
    cycles.carriers,
    {{ cycle_figures('cycles') | indent(4) }}
from cycles
