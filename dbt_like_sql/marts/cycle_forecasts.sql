{{ config(materialized='view') }}

-- days on which a vehicle was seen; other days take no part
with seen as (
    select
        spans.cycle_start,
        days.operational_date
    from {{ source('fact', 'vehicle_day_coverage') }} as days
    inner join {{ cycle_spans(source('fact', 'vehicle_day_coverage')) }} as spans
        on days.operational_date between spans.cycle_start and spans.cycle_end
    where days.status <> 'silent'
    group by spans.cycle_start, days.operational_date
),

moved as (
    select
        spans.cycle_start,
        trips.operational_date,
        count(*) as trips,
        count(*) filter (where trips.purpose = 'service') as service_trips,
        sum(trips.km_measured) filter (where trips.purpose = 'service') as km,
        max(trips.parameters_version) as parameters_version
    from {{ source('fact', 'trips') }} as trips
    inner join
        {{ cycle_spans(source('fact', 'trips')) }} as spans
        on trips.operational_date between spans.cycle_start and spans.cycle_end
    group by spans.cycle_start, trips.operational_date
),

-- each cost is of a trip of its day; those of trips that are no more stay until the step of the costs has ended well
priced as (
    select
        spans.cycle_start,
        costs.operational_date,
        sum(costs.variable_cost_brl) as variable_cost_brl
    from {{ source('fact', 'trip_costs') }} as costs
    inner join
        {{ cycle_spans(source('fact', 'trip_costs')) }} as spans
        on costs.operational_date between spans.cycle_start and spans.cycle_end
    -- the days of a cycle again: through the costs' own days alone PostgreSQL would read every trip
    where
        exists (
            select 1
            from {{ source('fact', 'trips') }} as trips
            inner join {{ cycle_spans(source('fact', 'trips')) }} as own
                on trips.operational_date between own.cycle_start and own.cycle_end
            where
                own.cycle_start = spans.cycle_start
                and trips.operational_date = costs.operational_date
                and trips.trip_id = costs.trip_id
        )
    group by spans.cycle_start, costs.operational_date
),

totals as (
    select
        moved.cycle_start,
        moved.operational_date,
        moved.trips,
        moved.service_trips,
        moved.km,
        moved.parameters_version,
        priced.variable_cost_brl
    from moved
    left join priced on moved.cycle_start = priced.cycle_start and moved.operational_date = priced.operational_date
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
    left join totals on seen.cycle_start = totals.cycle_start and seen.operational_date = totals.operational_date
),

-- class of a day: what most units' calendars name it, else its weekday
classes as (
    select
        calendar.date,
        mode() within group (order by calendar.day_type) as day_type
    from {{ source('ref', 'calendar') }} as calendar
    where calendar.day_type is not null
    group by calendar.date
),

run as not materialized (
    select distinct
        spans.cycle_start,
        coverage.operational_date
    from {{ source('fact', 'vehicle_day_coverage') }} as coverage
    inner join {{ cycle_spans(source('fact', 'vehicle_day_coverage')) }} as spans
        on coverage.operational_date between spans.cycle_start and spans.cycle_end
),

cycles as not materialized (
    select
        run.cycle_start,
        max(run.operational_date) as last_date
    from run
    group by run.cycle_start
),

calendar_days as (
    select
        cycles.cycle_start,
        cast(days.day as date) as operational_date
    from cycles
    cross join lateral generate_series(
        cast(cycles.cycle_start as timestamp),
        cast({{ cycle_end('cycles.cycle_start') }} as timestamp),
        interval '1 day'
    ) as days (day)
),

cycle_days as not materialized (
    select
        calendar_days.cycle_start,
        calendar_days.operational_date,
        run.operational_date is null as is_left,
        coalesce(
            classes.day_type,
            case extract(isodow from calendar_days.operational_date)
                when 6 then 'sabado' when 7 then 'domingo' else 'util'
            end
        ) as day_type
    from calendar_days
    left join run
        on calendar_days.cycle_start = run.cycle_start and calendar_days.operational_date = run.operational_date
    left join classes on calendar_days.operational_date = classes.date
),

remaining as (
    select
        cycle_days.cycle_start,
        cycle_days.day_type,
        count(*) as days
    from cycle_days
    where cycle_days.is_left
    group by cycle_days.cycle_start, cycle_days.day_type
),

days as not materialized (
    select
        known.cycle_start,
        known.operational_date,
        known.parameters_version,
        known.km,
        known.variable_cost_brl,
        cycle_days.day_type
    from known
    inner join cycle_days
        on known.cycle_start = cycle_days.cycle_start and known.operational_date = cycle_days.operational_date
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

parameters as not materialized (
    select
        versions.cycle_start,
        max(cast(used.value as numeric)) filter (where used.name = 'forecast_alpha') as alpha,
        max(cast(used.value as numeric)) filter (where used.name = 'forecast_seasonal_factor') as season
    from versions
    inner join {{ source('ops', 'parameter_versions') }} as used
        on versions.parameters_version = used.parameters_version
    group by versions.cycle_start
),

-- each day counts in its class, and in all days (no class), which stand in for a class without data
grouped as (
    select
        days.cycle_start,
        days.operational_date,
        days.km,
        days.variable_cost_brl,
        classed.day_type
    from days
    cross join lateral (values (days.day_type), (null)) as classed (day_type)
),

ranked as (
    select
        grouped.*,
        row_number() over (
            partition by grouped.cycle_start, grouped.day_type, grouped.variable_cost_brl is null
            order by grouped.operational_date asc
        ) as number,
        row_number() over (
            partition by grouped.cycle_start, grouped.day_type, grouped.variable_cost_brl is null
            order by grouped.operational_date desc
        ) as age
    from grouped
),

-- exponential smoothing written out: the first day's level has weight (1 - alpha) ^ (days - 1)
levels as not materialized (
    select
        ranked.cycle_start,
        ranked.day_type,
        max(parameters.season) as season,
        count(ranked.km) as days_with_data,
        sum(ranked.km) as km,
        sum(ranked.variable_cost_brl) as variable_cost_brl,
        sum(
            ranked.variable_cost_brl
            * power(1 - parameters.alpha, ranked.age - 1)
            * case when ranked.number = 1 then 1 else parameters.alpha end
        ) as smoothed_cost_brl
    from ranked
    inner join parameters on ranked.cycle_start = parameters.cycle_start
    group by ranked.cycle_start, ranked.day_type
),

outlook as (
    select
        every.cycle_start,
        sum(remaining.days) as remaining_days,
        round(
            sum(
                remaining.days * every.season
                * coalesce(
                    own.km / nullif(own.days_with_data, 0), every.km / nullif(every.days_with_data, 0)
                )
            ), 2
        ) as km_remaining,
        round(sum(remaining.days * coalesce(own.smoothed_cost_brl, every.smoothed_cost_brl)), 2)
            as variable_cost_remaining_brl
    from levels as every
    left join remaining on every.cycle_start = remaining.cycle_start
    left join levels as own
        on remaining.cycle_start = own.cycle_start and remaining.day_type = own.day_type
    where every.day_type is null
    group by every.cycle_start
)

select
    every.cycle_start,
    {{ cycle_end('every.cycle_start') }} as cycle_end,
    cycles.last_date,
    every.days_with_data,
    coalesce(outlook.remaining_days, 0) as remaining_days,
    every.km as km_so_far,
    case when outlook.remaining_days is null then 0 * every.km else outlook.km_remaining end as km_remaining,
    every.km + coalesce(outlook.km_remaining, case when outlook.remaining_days is null then 0 end) as km_total,
    every.variable_cost_brl as variable_cost_so_far_brl,
    case
        when outlook.remaining_days is null then 0 * every.variable_cost_brl else outlook.variable_cost_remaining_brl
    end as variable_cost_remaining_brl,
    every.variable_cost_brl
    + coalesce(outlook.variable_cost_remaining_brl, case when outlook.remaining_days is null then 0 end)
        as variable_cost_total_brl
from levels as every
inner join cycles on every.cycle_start = cycles.cycle_start
inner join outlook on every.cycle_start = outlook.cycle_start
where every.day_type is null
