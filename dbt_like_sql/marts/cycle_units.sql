{{ config(materialized='view') }}

with cycles as (
    select
        spans.cycle_start,
        days.unit_code,
        max(days.unit_name) as unit_name,
        count(distinct days.carrier_code) as carriers,
        {{ vehicle_day_sums('days') | indent(8) }}
    from {{ ref('vehicle_days') }} as days
    inner join
        {{ cycle_spans(ref('vehicle_days')) }} as spans
        on days.operational_date between spans.cycle_start and spans.cycle_end
    group by spans.cycle_start, days.unit_code
),

amounts as (
    {{ cycle_amounts(['unit_code']) | indent(4) }}
)

select
    coalesce(cycles.unit_code, '-') || ' ' || to_char(cycles.cycle_start, 'YYYY-MM-DD') as cycle_unit_id,
    cycles.cycle_start,
    {{ cycle_end('cycles.cycle_start') }} as cycle_end,
    cycles.unit_code,
    cycles.unit_name,
    cycles.carriers,
    {{ cycle_figures('cycles', 'amounts') | indent(4) }}
from cycles
left join {{ cycle_progress() }} as progress on cycles.cycle_start = progress.cycle_start
left join amounts
    on
        cycles.cycle_start = amounts.cycle_start
        and cycles.unit_code is not distinct from amounts.unit_code
