{# The days that a run publishes: its own and the day before, because a night's group or finding belongs to the later
   day of its members, so that only the run of D can complete the rows of D - 1. `days_after` reads further. #}
{% macro in_run(column, days_after=0) -%}
{%- if is_incremental() -%}
{{ column }} between cast('{{ var("from_date") }}' as date) - 1 and cast('{{ var("to_date") }}' as date) + {{ days_after }}
{%- else -%}
true
{%- endif -%}
{%- endmacro %}

{# Before an incremental model's rows come in: a day that became empty is emptied. #}
{% macro empty_days_of_run() -%}
{%- if is_incremental() -%}
delete from {{ this }} where {{ in_run('operational_date') }}
{%- endif -%}
{%- endmacro %}
