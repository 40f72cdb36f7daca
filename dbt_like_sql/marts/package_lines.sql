{{ config(materialized='view') }}

select
    lines.billing_line_id,
    lines.cycle_start,
    {{ cycle_end('lines.cycle_start') }} as cycle_end,
    lines.unit_code,
    coalesce(units.name, lines.unit_code) as unit_name,
    lines.carrier_code,
    coalesce(carriers.name, lines.carrier_code) as carrier_name,
    lines.contract_id,
    lines.contract_kind,
    lines.plate,
    lines.fleet_number,
    lines.area,
    lines.vehicle_class,
    lines.regime,
    lines.rate_brl_per_km,
    lines.line_status,
    lines.trips,
    lines.km,
    lines.variable_brl,
    lines.monthly_brl,
    lines.fixed_days,
    lines.fixed_brl,
    lines.total_brl
from {{ source('fact', 'billing_lines') }} as lines
left join {{ source('ref', 'units') }} as units on lines.unit_code = units.unit_code
left join {{ source('ref', 'carriers') }} as carriers on lines.carrier_code = carriers.carrier_code
