{{ config(materialized='view') }}

-- days on which a vehicle was seen; other days take no part
with seen as (
    select
        days.operational_date,
        {{ cycle_start('days.operational_date') }} as cycle_start
    from {{ source('fact', 'vehicle_day_coverage') }} as days
    where days.status <> 'silent'
    group by days.operational_date
),

totals as (
    select
        trips.operational_date,
        count(*) as trips,
        count(*) filter (where trips.purpose = 'service') as service_trips,
        sum(trips.km_measured) filter (where trips.purpose = 'service') as km,
        sum(costs.variable_cost_brl) as variable_cost_brl,
        max(trips.parameters_version) as parameters_version
    from {{ source('fact', 'trips') }} as trips
    left join {{ source('fact', 'trip_costs') }} as costs on trips.trip_id = costs.trip_id
    group by trips.operational_date
),

-- without trips the sum is zero; trips without any km or price make it unknown
known as (
    select
        seen.cycle_start,
        seen.operational_date,
        totals.parameters_version,
        case when totals.service_trips > 0 then totals.km else 0 end as km,
        case when totals.trips > 0 then totals.variable_cost_brl else 0 end as variable_cost_brl
    from seen
    left join totals on seen.operational_date = totals.operational_date
),

days as (
    select
        known.cycle_start,
        known.operational_date,
        known.parameters_version,
        known.km,
        known.variable_cost_brl,
        row_number() over (
            partition by known.cycle_start, known.variable_cost_brl is null order by known.operational_date asc
        ) as number,
        row_number() over (
            partition by known.cycle_start, known.variable_cost_brl is null order by known.operational_date desc
        ) as age
    from known
),

-- parameters of the cycle's last trips
versions as (
    select distinct on (days.cycle_start)
        days.cycle_start,
        days.parameters_version
    from days
    where days.parameters_version is not null
    order by days.cycle_start asc, days.operational_date desc
),

parameters as (
    select
        versions.cycle_start,
        max(cast(used.value as numeric)) filter (where used.name = 'forecast_alpha') as alpha,
        max(cast(used.value as numeric)) filter (where used.name = 'forecast_seasonal_factor') as season
    from versions
    inner join {{ source('ops', 'parameter_versions') }} as used
        on versions.parameters_version = used.parameters_version
    group by versions.cycle_start
),

-- exponential smoothing written out: the first day's level has weight (1 - alpha) ^ (days - 1)
cycles as (
    select
        days.cycle_start,
        max(days.operational_date) as last_date,
        max(parameters.season) as season,
        count(days.km) as days_with_data,
        sum(days.km) as km_so_far,
        sum(days.variable_cost_brl) as variable_cost_so_far_brl,
        sum(
            days.variable_cost_brl
            * power(1 - parameters.alpha, days.age - 1)
            * case when days.number = 1 then 1 else parameters.alpha end
        ) as smoothed_cost_brl
    from days
    inner join parameters on days.cycle_start = parameters.cycle_start
    group by days.cycle_start
),

remaining as (
    select
        cycles.cycle_start,
        {{ cycle_end('cycles.cycle_start') }} as cycle_end,
        cycles.last_date,
        cycles.days_with_data,
        {{ cycle_end('cycles.cycle_start') }} - cycles.last_date as remaining_days,
        cycles.km_so_far,
        round(
            cycles.km_so_far * ({{ cycle_end('cycles.cycle_start') }} - cycles.last_date)
            * cycles.season / nullif(cycles.days_with_data, 0), 2
        ) as km_remaining,
        cycles.variable_cost_so_far_brl,
        round(cycles.smoothed_cost_brl * ({{ cycle_end('cycles.cycle_start') }} - cycles.last_date), 2)
            as variable_cost_remaining_brl
    from cycles
)

select
    remaining.cycle_start,
    remaining.cycle_end,
    remaining.last_date,
    remaining.days_with_data,
    remaining.remaining_days,
    remaining.km_so_far,
    remaining.km_remaining,
    remaining.km_so_far + remaining.km_remaining as km_total,
    remaining.variable_cost_so_far_brl,
    remaining.variable_cost_remaining_brl,
    remaining.variable_cost_so_far_brl + remaining.variable_cost_remaining_brl as variable_cost_total_brl
from remaining
