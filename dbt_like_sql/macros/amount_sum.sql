{# The known part of an amount. Zero beside a row whose amount is unknown is unknown: nothing says that it is nothing. #}
{% macro amount_sum(column) -%}
nullif(sum({{ column }}), case when bool_or({{ column }} is null) then 0 end)
{%- endmacro %}
