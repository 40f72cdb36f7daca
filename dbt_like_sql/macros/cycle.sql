{# First day of the measurement cycle of a day: moved back so that a cycle begins on the first of a month, then forward again. #}
{% macro cycle_start(column) -%}
cast(date_trunc('month', cast({{ column }} - ({{ var('closing_day') }} - 1) as timestamp)) as date)
+ ({{ var('closing_day') }} - 1)
{%- endmacro %}

{% macro cycle_end(column) -%}
cast({{ column }} + interval '1 month' as date) - 1
{%- endmacro %}

{# The cycles of a relation's days, from its first day to its last. A view that joins it reads, of a query about one cycle,
   the days of that cycle through the index on the day; `cycle_start` of each row would have to be computed first. #}
{% macro cycle_spans(relation) -%}
(
    select
        cast(starts.at as date) as cycle_start,
        {{ cycle_end('cast(starts.at as date)') }} as cycle_end
    from (
        select
            min(dated.operational_date) as first_date,
            max(dated.operational_date) as last_date
        from {{ relation }} as dated
    ) as span
    -- of an array PostgreSQL expects ten elements, of a series a thousand: it would read the whole relation for them
    cross join lateral unnest(array(
        select generate_series(
            cast({{ cycle_start('span.first_date') }} as timestamp), cast(span.last_date as timestamp), interval '1 month'
        )
    )) as starts (at)
)
{%- endmacro %}

{# Sums over the vehicle-days of a cycle, per group of the caller. A null is unknown and takes no part in a sum. #}
{% macro vehicle_day_sums(days) -%}
count(distinct {{ days }}.operational_date) as days_with_rows,
count(distinct {{ days }}.plate) filter (where not {{ days }}.is_of_other_carrier) as vehicles,
count(*) filter (where not {{ days }}.is_of_other_carrier) as vehicle_days,
count(*) filter (where {{ days }}.coverage_status = 'silent') as silent_vehicle_days,
sum({{ days }}.trips) as trips,
sum({{ days }}.service_trips) as service_trips,
sum({{ days }}.service_km) as service_km,
sum({{ days }}.deadhead_km) as deadhead_km,
sum({{ days }}.measured_km) as measured_km,
sum({{ days }}.declared_runs) as declared_runs,
sum({{ days }}.declared_km) as declared_km,
sum({{ days }}.compared_groups) as compared_groups,
sum({{ days }}.exceeding_groups) as exceeding_groups,
sum({{ days }}.compared_measured_km) as compared_measured_km,
sum({{ days }}.difference_km) as difference_km,
sum({{ days }}.held_km) as held_km,
sum({{ days }}.billable_km) as billable_km,
sum({{ days }}.variable_cost_brl) as variable_cost_brl,
sum({{ days }}.unpriced_trips) as unpriced_trips,
sum({{ days }}.fixed_cost_brl) as fixed_cost_brl,
sum(
    coalesce(
        {{ days }}.variable_cost_brl + {{ days }}.fixed_cost_brl, {{ days }}.variable_cost_brl, {{ days }}.fixed_cost_brl
    )
) as known_cost_brl,
sum({{ days }}.open_findings) as open_findings,
sum({{ days }}.critical_findings) as critical_findings,
sum({{ days }}.score_points) as score_points,
sum({{ days }}.scored_km) as scored_km
{%- endmacro %}

{# Days of each cycle that were run: one look per day into an index. #}
{% macro cycle_progress() -%}
(
    select
        spans.cycle_start,
        (
            select count(*)
            from generate_series(
                cast(spans.cycle_start as timestamp), cast(spans.cycle_end as timestamp), interval '1 day'
            ) as days (day)
            cross join lateral (
                select 1
                from {{ source('fact', 'vehicle_day_coverage') }} as run
                where run.operational_date = cast(days.day as date)
                limit 1  -- keeps PostgreSQL from reading all days for a join
            ) as run
        ) as days_processed
    from {{ cycle_spans(source('fact', 'vehicle_day_coverage')) }} as spans
)
{%- endmacro %}

{# How much of a cycle its sums are about: days that were run, from `progress`, and days that it has. #}
{% macro cycle_progress_columns(cycle_start_column) -%}
coalesce(progress.days_processed, 0) as days_processed,
{{ cycle_end(cycle_start_column) }} - {{ cycle_start_column }} + 1 as days_in_cycle
{%- endmacro %}

{# The four amounts of a cycle, per group of the caller; they are never added up. #}
{% macro cycle_amounts(by) -%}
select
    facts.cycle_start,
    {% for column in by %}facts.{{ column }},
    {% endfor -%}
    {{ amount_sum('facts.paid_doubtful_brl') }} as paid_doubtful_brl,
    {{ amount_sum('facts.disallowed_brl') }} as disallowed_brl,
    {{ amount_sum('facts.held_brl') }} as held_brl,
    {{ amount_sum('facts.in_favour_brl') }} as in_favour_brl
from {{ source('fact', 'vehicle_cycle_amounts') }} as facts
group by facts.cycle_start{% for column in by %}, facts.{{ column }}{% endfor %}
{%- endmacro %}

{# The columns that people read, from these sums and the cycle's amounts; 0 where nothing is at stake. #}
{% macro cycle_figures(sums, amounts) -%}
{{ cycle_progress_columns(sums ~ '.cycle_start') }},
{{ sums }}.days_with_rows,
{{ sums }}.vehicles,
{{ sums }}.vehicle_days,
{{ sums }}.silent_vehicle_days,
{{ sums }}.trips,
{{ sums }}.service_trips,
{{ sums }}.service_km,
{{ sums }}.deadhead_km,
{{ sums }}.measured_km,
{{ sums }}.declared_runs,
{{ sums }}.declared_km,
{{ sums }}.compared_groups,
{{ sums }}.exceeding_groups,
{{ sums }}.difference_km,
round(100 * {{ sums }}.difference_km / nullif({{ sums }}.compared_measured_km, 0), 2) as difference_pct,
{{ sums }}.held_km,
{{ sums }}.billable_km,
{{ sums }}.variable_cost_brl,
{{ sums }}.unpriced_trips,
{{ sums }}.fixed_cost_brl,
{{ sums }}.known_cost_brl,
round({{ sums }}.known_cost_brl / nullif({{ sums }}.measured_km, 0), 4) as cost_brl_per_km,
{{ sums }}.open_findings,
{{ sums }}.critical_findings,
case when {{ amounts }}.cycle_start is null then 0 else {{ amounts }}.paid_doubtful_brl end as paid_doubtful_brl,
case when {{ amounts }}.cycle_start is null then 0 else {{ amounts }}.disallowed_brl end as disallowed_brl,
case when {{ amounts }}.cycle_start is null then 0 else {{ amounts }}.held_brl end as held_brl,
case when {{ amounts }}.cycle_start is null then 0 else {{ amounts }}.in_favour_brl end as in_favour_brl,
round({{ sums }}.score_points / nullif({{ sums }}.scored_km, 0), 2) as compliance_score
{%- endmacro %}
