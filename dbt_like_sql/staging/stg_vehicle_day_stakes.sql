with counted as (
    select
        findings.operational_date,
        findings.plate,
        findings.rule_id,
        coalesce(linked.match_id, findings.declared_run_id, findings.trip_id) as concern,
        case when findings.is_underpayment then 0 else findings.brl_at_stake end as over_brl,
        case when findings.is_underpayment then findings.brl_at_stake else 0 end as under_brl
    from {{ ref('stg_findings') }} as findings
    -- the group of trips and runs that the finding speaks of: of its own day, or of the day after
    left join lateral (
        select matches.match_id
        from {{ source('fact', 'matches') }} as matches
        where
            matches.plate = findings.plate
            and matches.operational_date between findings.operational_date and findings.operational_date + 1
            and (
                findings.declared_run_id = any(matches.declared_run_ids)
                or (findings.declared_run_id is null and findings.trip_id = any(matches.trip_ids))
            )
        order by matches.operational_date desc, matches.match_id asc
        limit 1
    ) as linked on true
    where
        findings.status = 'open'
        and findings.scope <> 'cycle'
        and findings.brl_at_stake is not null
        and findings.plate is not null
),

rules as (
    select
        counted.operational_date,
        counted.plate,
        counted.concern,
        counted.rule_id,
        sum(counted.over_brl) as over_brl,
        sum(counted.under_brl) as under_brl
    from counted
    group by counted.operational_date, counted.plate, counted.concern, counted.rule_id
),

-- rules that see the same kilometres: the one with the largest sum holds
ranked as (
    select
        rules.operational_date,
        rules.plate,
        rules.concern,
        rules.over_brl,
        rules.under_brl,
        row_number() over (
            partition by rules.operational_date, rules.plate, rules.concern
            order by rules.over_brl + rules.under_brl desc, rules.rule_id asc
        ) as place
    from rules
),

-- the groups together, and the day-level rule
levels as (
    select
        ranked.operational_date,
        ranked.plate,
        ranked.concern is null as is_day_level,
        sum(ranked.over_brl) as over_brl,
        sum(ranked.under_brl) as under_brl
    from ranked
    where ranked.place = 1
    group by ranked.operational_date, ranked.plate, ranked.concern is null
),

-- of the two the larger; the groups, which are more exact, where they are equal
placed as (
    select
        levels.operational_date,
        levels.plate,
        levels.over_brl,
        levels.under_brl,
        row_number() over (
            partition by levels.operational_date, levels.plate
            order by levels.over_brl + levels.under_brl desc, levels.is_day_level asc
        ) as place
    from levels
)

select
    placed.operational_date,
    placed.plate,
    placed.over_brl,
    placed.under_brl,
    placed.over_brl + placed.under_brl as stake_brl
from placed
where placed.place = 1
