{{ config(materialized='view') }}

with cycles as (
    select
        spans.cycle_start,
        trips.unit_code,
        trips.route_code,
        trips.area,
        max(trips.unit_name) as unit_name,
        max(trips.route_name) as route_name,
        count(*) as service_trips,
        count(distinct trips.plate) as vehicles,
        sum(trips.km_measured) as measured_km,
        count(*) filter (where trips.km_measured is null) as unmeasured_trips,
        sum(trips.declared_km) as declared_km,
        sum(trips.difference_km) as difference_km,
        sum(trips.km_measured) filter (where trips.difference_km is not null) as compared_measured_km,
        sum(trips.billable_km) filter (where trips.variable_cost_brl is not null) as billable_km,
        sum(trips.variable_cost_brl) as variable_cost_brl,
        count(*) filter (where trips.variable_cost_brl is null) as unpriced_trips,
        sum(trips.open_findings) as open_findings,
        sum(trips.compliance_score * trips.km_measured) as score_points,
        sum(trips.km_measured) filter (where trips.compliance_score is not null) as scored_km
    from {{ ref('d1_trips') }} as trips
    inner join
        {{ cycle_spans(ref('d1_trips')) }} as spans
        on trips.operational_date between spans.cycle_start and spans.cycle_end
    where trips.purpose = 'service'
    group by spans.cycle_start, trips.unit_code, trips.route_code, trips.area
)

select
    coalesce(cycles.unit_code, '-') || ' ' || coalesce(cycles.route_code, '-') || ' ' || coalesce(cycles.area, '-')
    || ' ' || to_char(cycles.cycle_start, 'YYYY-MM-DD') as cycle_route_id,
    cycles.cycle_start,
    {{ cycle_end('cycles.cycle_start') }} as cycle_end,
    {{ cycle_progress_columns('cycles.cycle_start') | indent(4) }},
    cycles.unit_code,
    cycles.unit_name,
    cycles.route_code,
    cycles.route_name,
    cycles.area,
    routes.regime,
    routes.expected_km,
    cycles.service_trips,
    cycles.vehicles,
    cycles.measured_km,
    cycles.unmeasured_trips,
    round(cycles.measured_km / nullif(cycles.service_trips - cycles.unmeasured_trips, 0), 2) as km_per_trip,
    cycles.declared_km,
    cycles.difference_km,
    round(100 * cycles.difference_km / nullif(cycles.compared_measured_km, 0), 2) as difference_pct,
    cycles.billable_km,
    cycles.variable_cost_brl,
    cycles.unpriced_trips,
    round(cycles.variable_cost_brl / nullif(cycles.billable_km, 0), 4) as variable_brl_per_km,
    cycles.open_findings,
    round(cycles.score_points / nullif(cycles.scored_km, 0), 2) as compliance_score
from cycles
left join {{ cycle_progress() }} as progress on cycles.cycle_start = progress.cycle_start
left join {{ source('ref', 'routes') }} as routes on cycles.route_code = routes.route_code
