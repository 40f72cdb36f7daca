{{ config(materialized='view') }}

-- findings with one root cause, money counted once: what the reports rank first
with incidents as (
    select
        facts.incident_id,
        facts.operational_date,
        spans.cycle_start,
        case when facts.cycle_start is null then 'day' else 'cycle' end as scope,
        facts.cause,
        facts.root_finding_id,
        facts.root_rule_id,
        facts.plates,
        facts.carrier_code,
        facts.unit_code,
        cardinality(facts.finding_ids) as findings,
        facts.paid_doubtful_brl,
        facts.disallowed_brl,
        facts.held_brl,
        facts.in_favour_brl,
        -- null only where all four are unknown
        greatest(facts.paid_doubtful_brl, facts.disallowed_brl, facts.held_brl, facts.in_favour_brl) as largest_brl,
        facts.sentence_pt
    from {{ source('fact', 'incidents') }} as facts
    inner join
        {{ cycle_spans(source('fact', 'incidents')) }} as spans
        on facts.operational_date between spans.cycle_start and spans.cycle_end
)

select
    incidents.incident_id,
    incidents.cycle_start,
    incidents.operational_date,
    row_number() over (
        partition by incidents.cycle_start
        order by coalesce(incidents.largest_brl, 0) desc, incidents.incident_id asc
    ) as position,
    incidents.scope,
    incidents.cause,
    incidents.root_finding_id,
    incidents.root_rule_id,
    incidents.plates,
    incidents.carrier_code,
    coalesce(carriers.name, incidents.carrier_code) as carrier_name,
    incidents.unit_code,
    coalesce(units.name, incidents.unit_code) as unit_name,
    incidents.findings,
    incidents.paid_doubtful_brl,
    incidents.disallowed_brl,
    incidents.held_brl,
    incidents.in_favour_brl,
    incidents.largest_brl,
    coalesce(incidents.largest_brl > 0, false) as has_amount,
    incidents.sentence_pt
from incidents
left join {{ source('ref', 'carriers') }} as carriers on incidents.carrier_code = carriers.carrier_code
left join {{ source('ref', 'units') }} as units on incidents.unit_code = units.unit_code
