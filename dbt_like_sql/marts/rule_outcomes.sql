{{ config(materialized='view') }}

-- of contested findings alone; the interval is Wilson's of 95 % (JASA 22, 1927), as in logic.closing.rule_outcomes:
-- a test compares them
with counted as (
    select
        facts.rule_id,
        facts.carrier_code,
        facts.unit_code,
        count(*) as contests,
        count(*) filter (where facts.status = 'contested') as open_contests,
        count(*) filter (where facts.status = 'upheld') as upheld,
        count(*) filter (where facts.status = 'reversed') as reversed,
        cast(nullif(count(*) filter (where facts.status <> 'contested'), 0) as double precision) as decided,
        cast(count(*) filter (where facts.status = 'upheld') as double precision)
        / nullif(count(*) filter (where facts.status <> 'contested'), 0) as share
    from {{ source('fact', 'contest_outcomes') }} as facts
    group by facts.rule_id, facts.carrier_code, facts.unit_code
),

ends as (
    select
        counted.*,
        counted.share + 1.920729 / counted.decided as centre,
        1.959964 * sqrt(counted.share * (1 - counted.share) / counted.decided + 0.960365 / counted.decided ^ 2) as half
    from counted
)

select
    ends.rule_id || ' ' || coalesce(ends.carrier_code, '-') || ' ' || coalesce(ends.unit_code, '-') as rule_outcome_id,
    ends.rule_id,
    ends.carrier_code,
    ends.unit_code,
    ends.contests,
    ends.open_contests,
    ends.upheld,
    ends.reversed,
    round(cast(100 * ends.share as numeric), 2) as upheld_pct,
    round(cast(100 * greatest(ends.centre - ends.half, 0) / (1 + 3.841459 / ends.decided) as numeric), 2)
        as upheld_low_pct,
    -- least and greatest ignore nulls: the division, not they, makes the ends null without a decision
    round(
        cast(
            100 * least(ends.centre + ends.half, 1 + 3.841459 / ends.decided) / (1 + 3.841459 / ends.decided) as numeric
        ), 2
    ) as upheld_high_pct
from ends
