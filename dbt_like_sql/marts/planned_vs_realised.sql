{{ config(materialized='view') }}

with planned as not materialized (
    select
        plan.cycle_start,
        plan.plate,
        plan.route_code,
        sum(plan.planned_km) as planned_km,
        sum(plan.planned_trips) as planned_trips
    from {{ source('ref', 'km_plan') }} as plan
    group by plan.cycle_start, plan.plate, plan.route_code
),

realised as not materialized (
    select
        spans.cycle_start,
        trips.plate,
        trips.route_code,
        count(*) as service_trips,
        sum(trips.km_measured) as measured_km,
        sum(trips.declared_km) as declared_km,
        sum(trips.billable_km) filter (where trips.variable_cost_brl is not null) as billable_km,
        sum(trips.variable_cost_brl) as variable_cost_brl
    from {{ ref('d1_trips') }} as trips
    inner join
        {{ cycle_spans(ref('d1_trips')) }} as spans
        on trips.operational_date between spans.cycle_start and spans.cycle_end
    where trips.purpose = 'service'
    group by spans.cycle_start, trips.plate, trips.route_code
),

lines as (
    select
        planned.cycle_start,
        planned.plate,
        planned.route_code
    from planned
    union
    select
        realised.cycle_start,
        realised.plate,
        realised.route_code
    from realised
)

select
    lines.plate || ' ' || coalesce(lines.route_code, '-') || ' ' || to_char(lines.cycle_start, 'YYYY-MM-DD')
        as cycle_plan_id,
    lines.cycle_start,
    {{ cycle_end('lines.cycle_start') }} as cycle_end,
    {{ cycle_progress_columns('lines.cycle_start') | indent(4) }},
    lines.plate,
    lines.route_code,
    coalesce(routes.name, lines.route_code) as route_name,
    planned.planned_km,
    planned.planned_trips,
    realised.service_trips,
    realised.measured_km,
    realised.declared_km,
    realised.billable_km,
    realised.variable_cost_brl,
    realised.measured_km - planned.planned_km as difference_km,
    round(100 * realised.measured_km / nullif(planned.planned_km, 0), 2) as realised_pct,
    planned.cycle_start is not null as is_planned
from lines
left join {{ cycle_progress() }} as progress on lines.cycle_start = progress.cycle_start
left join planned
    on
        lines.cycle_start = planned.cycle_start
        and lines.plate = planned.plate
        and lines.route_code is not distinct from planned.route_code
left join realised
    on
        lines.cycle_start = realised.cycle_start
        and lines.plate = realised.plate
        and lines.route_code is not distinct from realised.route_code
left join {{ source('ref', 'routes') }} as routes on lines.route_code = routes.route_code
