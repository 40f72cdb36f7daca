{# Carrier of a row about a vehicle-day where that is not the vehicle's, which `coverage` names; else ''. #}
{% macro other_carrier(rows) -%}
case when {{ rows }}.carrier_code <> coverage.carrier_code then {{ rows }}.carrier_code else '' end
{%- endmacro %}
