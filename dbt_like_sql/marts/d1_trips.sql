with trips as (
    select
        stg.trip_id,
        stg.operational_date,
        stg.unit_code,
        stg.unit_name,
        stg.carrier_code,
        stg.carrier_name,
        stg.contract_id,
        stg.plate,
        stg.fleet_number,
        stg.vehicle_class,
        stg.driver_id,
        stg.shift_code,
        stg.area,
        stg.purpose,
        stg.route_code,
        stg.route_name,
        stg.origin_name,
        stg.destination_name,
        stg.started_at,
        stg.ended_at,
        stg.started_local,
        stg.ended_local,
        stg.km_measured,
        stg.km_uncertainty,
        stg.billable_km,
        stg.rate_brl_per_km,
        stg.variable_cost_brl,
        stg.cost_status,
        stg.evidence_grade,
        stg.compliance_score
    from {{ ref('stg_trips') }} as stg
    where {{ in_run('stg.operational_date') }}
),

-- a trip's group may be dated the day after; an older group that still names the trip is out of date
memberships as (
    select
        member.trip_id,
        matches.match_id,
        matches.kind,
        matches.declared_km,
        matches.measured_km,
        row_number() over (
            partition by member.trip_id order by matches.operational_date desc, matches.match_id asc
        ) as recency
    from {{ source('fact', 'matches') }} as matches
    cross join lateral unnest(matches.trip_ids) as member (trip_id)
    where {{ in_run('matches.operational_date', days_after=1) }}
),

-- a group's declared km are shared by measured km, in equal parts where nothing was measured
weights as (
    select
        memberships.trip_id,
        memberships.match_id,
        memberships.kind,
        memberships.declared_km,
        members.started_at,
        case when memberships.measured_km > 0 then coalesce(members.km_measured, 0) else 1 end as weight,
        case
            when memberships.measured_km > 0 then memberships.measured_km
            else count(*) over (partition by memberships.match_id)
        end as whole
    from memberships
    inner join {{ source('fact', 'trips') }} as members on memberships.trip_id = members.trip_id
    where memberships.recency = 1
),

running as (
    select
        weights.trip_id,
        weights.match_id,
        weights.kind,
        weights.declared_km,
        weights.weight,
        weights.whole,
        sum(weights.weight) over (
            partition by weights.match_id order by weights.started_at, weights.trip_id
        ) as upto
    from weights
),

-- the running sum is rounded, so that the shares of a group sum to what was declared, to the hundredth
shares as (
    select
        running.trip_id,
        running.match_id,
        running.kind as match_kind,
        round(running.declared_km * running.upto / running.whole, 2)
        - round(running.declared_km * (running.upto - running.weight) / running.whole, 2) as declared_km
    from running
),

findings as (
    select
        stg.finding_id,
        stg.trip_id,
        stg.declared_run_id,
        stg.status,
        case when stg.status = 'open' then stg.rule_id else '(' || stg.rule_id || ')' end as flag
    from {{ ref('stg_findings') }} as stg
    where {{ in_run('stg.operational_date', days_after=1) }}
),

linked_runs as (
    select
        run.declared_run_id,
        matches.match_id
    from {{ source('fact', 'matches') }} as matches
    cross join lateral unnest(matches.declared_run_ids) as run (declared_run_id)
    where {{ in_run('matches.operational_date', days_after=1) }}
),

-- a finding concerns the trip that it names and the trips that are linked to the run that it names
concerned as (
    select
        findings.trip_id,
        findings.finding_id,
        findings.status,
        findings.flag
    from findings
    where findings.trip_id is not null
    union
    select
        shares.trip_id,
        findings.finding_id,
        findings.status,
        findings.flag
    from findings
    inner join linked_runs on findings.declared_run_id = linked_runs.declared_run_id
    inner join shares on linked_runs.match_id = shares.match_id
),

flags as (
    select
        concerned.trip_id,
        string_agg(distinct concerned.flag, ', ' order by concerned.flag) as flags,
        count(*) filter (where concerned.status = 'open') as open_findings
    from concerned
    group by concerned.trip_id
)

select
    trips.trip_id,
    trips.operational_date,
    trips.plate || ' ' || to_char(trips.operational_date, 'YYYY-MM-DD') as vehicle_day_id,
    trips.unit_code,
    trips.unit_name,
    trips.carrier_code,
    trips.carrier_name,
    trips.contract_id,
    trips.plate,
    trips.fleet_number,
    trips.vehicle_class,
    trips.driver_id,
    trips.shift_code,
    trips.area,
    trips.purpose,
    trips.route_code,
    trips.route_name,
    trips.origin_name,
    trips.destination_name,
    trips.started_at,
    trips.ended_at,
    trips.started_local,
    trips.ended_local,
    trips.km_measured,
    trips.km_uncertainty,
    shares.match_id,
    shares.match_kind,
    shares.declared_km,
    shares.declared_km - trips.km_measured as difference_km,
    round(100 * (shares.declared_km - trips.km_measured) / nullif(trips.km_measured, 0), 2) as difference_pct,
    trips.billable_km,
    trips.rate_brl_per_km,
    trips.variable_cost_brl,
    trips.cost_status,
    flags.flags,
    coalesce(flags.open_findings, 0) as open_findings,
    trips.evidence_grade,
    trips.compliance_score
from trips
left join shares on trips.trip_id = shares.trip_id
left join flags on trips.trip_id = flags.trip_id
