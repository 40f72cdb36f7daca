with days as (
    select
        days.operational_date,
        count(*) filter (where not days.is_of_other_carrier) as vehicles,
        count(*) filter (where days.coverage_status in ('complete', 'partial')) as seen_vehicles,
        count(*) filter (where days.coverage_status = 'silent') as silent_vehicles,
        sum(days.trips) as trips,
        sum(days.service_trips) as service_trips,
        sum(days.service_km) as service_km,
        sum(days.deadhead_km) as deadhead_km,
        sum(days.measured_km) as measured_km,
        sum(days.declared_km) as declared_km,
        sum(days.compared_groups) as compared_groups,
        sum(days.exceeding_groups) as exceeding_groups,
        sum(days.compared_measured_km) as compared_measured_km,
        sum(days.difference_km) as difference_km,
        sum(days.held_km) as held_km,
        sum(days.variable_cost_brl) as variable_cost_brl,
        sum(days.unpriced_trips) as unpriced_trips,
        sum(days.fixed_cost_brl) as fixed_cost_brl,
        sum(coalesce(days.variable_cost_brl + days.fixed_cost_brl, days.variable_cost_brl, days.fixed_cost_brl))
            as known_cost_brl,
        sum(days.open_findings) as open_findings,
        sum(days.critical_findings) as critical_findings,
        {{ amount_sum('days.paid_doubtful_brl') }} as paid_doubtful_brl,
        {{ amount_sum('days.disallowed_brl') }} as disallowed_brl,
        {{ amount_sum('days.held_brl') }} as held_brl,
        {{ amount_sum('days.in_favour_brl') }} as in_favour_brl,
        count(*) filter (where days.is_ledger_balanced) as balanced_vehicles,
        count(days.is_ledger_balanced) as ledger_vehicles,
        sum(days.score_points) as score_points,
        sum(days.scored_km) as scored_km
    from {{ ref('vehicle_days') }} as days
    where {{ in_run('days.operational_date') }}
    group by days.operational_date
),

evidence as (
    select
        trips.operational_date,
        sum(trips.km_measured) as graded_km,
        sum(trips.km_measured) filter (where trips.evidence_grade = 'A') as best_km
    from {{ ref('d1_trips') }} as trips
    where
        trips.purpose = 'service'
        and {{ in_run('trips.operational_date') }}
    group by trips.operational_date
)

select
    days.operational_date,
    days.vehicles,
    days.seen_vehicles,
    days.silent_vehicles,
    round(100 * cast(days.seen_vehicles as numeric) / nullif(days.seen_vehicles + days.silent_vehicles, 0), 2)
        as seen_pct,
    days.trips,
    days.service_trips,
    days.service_km,
    days.deadhead_km,
    days.measured_km,
    days.declared_km,
    days.compared_groups,
    days.exceeding_groups,
    round(100 * days.exceeding_groups / nullif(days.compared_groups, 0), 2) as exceeding_pct,
    days.difference_km,
    round(100 * days.difference_km / nullif(days.compared_measured_km, 0), 2) as difference_pct,
    days.held_km,
    days.variable_cost_brl,
    days.unpriced_trips,
    days.fixed_cost_brl,
    days.known_cost_brl,
    round(days.known_cost_brl / nullif(days.measured_km, 0), 4) as cost_brl_per_km,
    days.open_findings,
    days.critical_findings,
    days.paid_doubtful_brl,
    days.disallowed_brl,
    days.held_brl,
    days.in_favour_brl,
    round(100 * cast(days.balanced_vehicles as numeric) / nullif(days.ledger_vehicles, 0), 2) as balanced_pct,
    round(100 * coalesce(evidence.best_km, 0) / nullif(evidence.graded_km, 0), 2) as grade_a_pct,
    round(days.score_points / nullif(days.scored_km, 0), 2) as compliance_score
from days
left join evidence on days.operational_date = evidence.operational_date
