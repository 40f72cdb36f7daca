{{ config(materialized='view') }}

with cycles as (
    select
        spans.cycle_start,
        days.carrier_code,
        max(days.carrier_name) as carrier_name,
        {{ vehicle_day_sums('days') | indent(8) }}
    from {{ ref('vehicle_days') }} as days
    inner join
        {{ cycle_spans(ref('vehicle_days')) }} as spans
        on days.operational_date between spans.cycle_start and spans.cycle_end
    where days.carrier_code is not null
    group by spans.cycle_start, days.carrier_code
),

amounts as (
    {{ cycle_amounts(['carrier_code']) | indent(4) }}
),

incidents as (
    select
        top.cycle_start,
        top.carrier_code,
        count(*) as incidents
    from {{ ref('top_incidents') }} as top
    where top.has_amount
    group by top.cycle_start, top.carrier_code
),

figures as (
    select
        cycles.cycle_start,
        cycles.carrier_code,
        cycles.carrier_name,
        {{ cycle_figures('cycles', 'amounts') | indent(8) }}
    from cycles
    left join {{ cycle_progress() }} as progress on cycles.cycle_start = progress.cycle_start
    left join amounts on cycles.cycle_start = amounts.cycle_start and cycles.carrier_code = amounts.carrier_code
)

-- by score, then by km, as the monthly report ranks them
select
    figures.carrier_code || ' ' || to_char(figures.cycle_start, 'YYYY-MM-DD') as cycle_ranking_id,
    figures.cycle_start,
    {{ cycle_end('figures.cycle_start') }} as cycle_end,
    figures.days_processed,
    figures.days_in_cycle,
    row_number() over (
        partition by figures.cycle_start
        order by
            figures.compliance_score desc nulls last, figures.measured_km desc nulls last, figures.carrier_name asc
    ) as position,
    figures.carrier_code,
    figures.carrier_name,
    figures.compliance_score,
    figures.trips,
    figures.measured_km,
    figures.cost_brl_per_km,
    figures.exceeding_groups,
    round(100 * figures.exceeding_groups / nullif(figures.compared_groups, 0), 2) as exceeding_pct,
    figures.difference_pct,
    coalesce(incidents.incidents, 0) as incidents,
    figures.paid_doubtful_brl,
    figures.disallowed_brl,
    figures.held_brl,
    figures.in_favour_brl,
    round(100 * figures.paid_doubtful_brl / nullif(figures.variable_cost_brl, 0), 2) as paid_doubtful_pct,
    round(100 * figures.disallowed_brl / nullif(figures.variable_cost_brl, 0), 2) as disallowed_pct,
    figures.held_km,
    figures.open_findings,
    figures.critical_findings,
    round(100 * cast(figures.silent_vehicle_days as numeric) / nullif(figures.vehicle_days, 0), 2) as silent_pct
from figures
left join incidents on figures.cycle_start = incidents.cycle_start and figures.carrier_code = incidents.carrier_code
