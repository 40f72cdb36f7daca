{{ config(materialized='view') }}

-- what each score of a cycle is made of; the rows of a party sum exactly to it, as those of the monthly report do
with entries as (
    select
        spans.cycle_start,
        trips.unit_code,
        trips.carrier_code,
        trips.plate,
        trips.km_measured,
        split_part(part.key, ':', 1) as entry,
        cast(part.value as numeric) as points
    from {{ source('fact', 'trips') }} as trips
    inner join
        {{ cycle_spans(source('fact', 'trips')) }} as spans
        on trips.operational_date between spans.cycle_start and spans.cycle_end
    -- spans of their own: PostgreSQL then reads the scores of the cycle, and not all of them, to look for the trips in
    inner join
        {{ cycle_spans(source('fact', 'trip_scores')) }} as score_spans
        on spans.cycle_start = score_spans.cycle_start
    inner join
        {{ source('fact', 'trip_scores') }} as scores
        on
            trips.trip_id = scores.trip_id
            and scores.operational_date between score_spans.cycle_start and score_spans.cycle_end
    cross join lateral jsonb_each_text(scores.contributions) as part (key, value)
    where trips.km_measured > 0
),

of_vehicles as (
    select
        entries.cycle_start,
        entries.unit_code,
        entries.carrier_code,
        entries.plate,
        entries.entry,
        sum(entries.km_measured * entries.points) as weighted,
        sum(entries.km_measured) filter (where entries.entry = 'start') as start_km  -- each trip has one start
    from entries
    group by entries.cycle_start, entries.unit_code, entries.carrier_code, entries.plate, entries.entry
),

-- not by grouping sets, which a query about one cycle cannot look into
sums as (
    select
        of_vehicles.cycle_start,
        parties.party,
        parties.unit_code,
        parties.carrier_code,
        parties.plate,
        of_vehicles.entry,
        sum(of_vehicles.weighted) as weighted,
        sum(of_vehicles.start_km) as start_km
    from of_vehicles
    cross join
        lateral (
            values
            ('vehicle', of_vehicles.unit_code, of_vehicles.carrier_code, of_vehicles.plate),
            ('unit', of_vehicles.unit_code, null, null),
            ('carrier', null, of_vehicles.carrier_code, null),
            ('fleet', null, null, null)
        ) as parties (party, unit_code, carrier_code, plate)
    group by
        of_vehicles.cycle_start,
        parties.party,
        parties.unit_code,
        parties.carrier_code,
        parties.plate,
        of_vehicles.entry
),

parts as not materialized (
    select
        sums.*,
        max(sums.start_km) over (
            partition by sums.cycle_start, sums.party, sums.unit_code, sums.carrier_code, sums.plate
        ) as scored_km
    from sums
),

scores as (
    select
        parts.cycle_start,
        parts.party,
        parts.unit_code,
        parts.carrier_code,
        parts.plate,
        round(sum(parts.weighted) / max(parts.scored_km), 2) - sum(round(parts.weighted / parts.scored_km, 2)) as rest
    from parts
    group by parts.cycle_start, parts.party, parts.unit_code, parts.carrier_code, parts.plate
),

rows_of_parties as (
    select
        parts.cycle_start,
        parts.party,
        parts.unit_code,
        parts.carrier_code,
        parts.plate,
        parts.entry,
        round(parts.weighted / parts.scored_km, 2) as points
    from parts
    union all
    select
        scores.cycle_start,
        scores.party,
        scores.unit_code,
        scores.carrier_code,
        scores.plate,
        'rounding' as entry,
        scores.rest as points
    from scores
    where scores.rest <> 0
)

select
    rows_of_parties.party || ' ' || coalesce(rows_of_parties.plate, '-') || ' '
    || coalesce(rows_of_parties.carrier_code, '-') || ' ' || coalesce(rows_of_parties.unit_code, '-') || ' '
    || to_char(rows_of_parties.cycle_start, 'YYYY-MM-DD') || ' ' || rows_of_parties.entry as score_contribution_id,
    rows_of_parties.cycle_start,
    {{ cycle_end('rows_of_parties.cycle_start') }} as cycle_end,
    rows_of_parties.party,
    rows_of_parties.unit_code,
    rows_of_parties.carrier_code,
    rows_of_parties.plate,
    rows_of_parties.entry,
    rows_of_parties.points
from rows_of_parties
