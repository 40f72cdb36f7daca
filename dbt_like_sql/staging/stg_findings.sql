{{ config(materialized='view') }}

select
    findings.finding_id,
    findings.operational_date,
    findings.rule_id,
    findings.rule_version,
    findings.severity,
    case findings.severity
        when 'C' then 'critical'
        when 'H' then 'high'
        when 'M' then 'medium'
        when 'L' then 'low'
    end as severity_name,
    -- dated on the last day of the cycle, but about all of its days: never part of a day's sum
    case
        when findings.cycle_start is not null then 'cycle'
        when coalesce(findings.declared_run_id, findings.trip_id) is not null then 'trip'
        else 'day'
    end as scope,
    findings.plate,
    findings.driver_id,
    findings.carrier_code,
    coalesce(carriers.name, findings.carrier_code) as carrier_name,
    findings.unit_code,
    coalesce(units.name, findings.unit_code) as unit_name,
    findings.trip_id,
    findings.declared_run_id,
    findings.km_at_stake,
    findings.brl_at_stake,
    findings.amount,
    findings.paid_doubtful_brl,
    findings.disallowed_brl,
    findings.held_brl,
    findings.in_favour_brl,
    findings.confidence,
    findings.status,
    findings.exception_id,
    exceptions.reason as exception_reason,
    exceptions.approved_by as exception_approved_by,
    findings.explanation_pt,
    findings.evidence
from {{ source('fact', 'findings') }} as findings
left join {{ source('ref', 'units') }} as units on findings.unit_code = units.unit_code
left join {{ source('ref', 'carriers') }} as carriers on findings.carrier_code = carriers.carrier_code
left join {{ source('ref', 'exceptions') }} as exceptions on findings.exception_id = exceptions.exception_id
