{# Real dbt publishes a view as the pipeline does: replaced in its place, so that grants, options and the views of others
   on it stay. dbt's own way renames it and drops it with all that depends on it. #}
{% materialization view, adapter='postgres' %}
  {%- set existing = load_cached_relation(this) -%}
  {%- set target = this.incorporate(type='view') -%}
  {%- if existing is not none and not existing.is_view -%}
    {{ exceptions.raise_compiler_error(target ~ " is a table, but the model is a view: run the pipeline, which rebuilds it") }}
  {%- endif -%}
  {{ run_hooks(pre_hooks, inside_transaction=False) }}
  {{ run_hooks(pre_hooks, inside_transaction=True) }}
  {%- set options = run_query(
      "select coalesce(' with (' || array_to_string(reloptions, ', ') || ')', '') from pg_class where oid = to_regclass('" ~ target ~ "')"
  ) -%}
  {% call statement('main') -%}
    create or replace view {{ target }}{{ options.rows[0][0] if options.rows }} as {{ sql }}
  {%- endcall %}
  {% do persist_docs(target, model) %}
  {{ run_hooks(post_hooks, inside_transaction=True) }}
  {% do adapter.commit() %}
  {{ run_hooks(post_hooks, inside_transaction=False) }}
  {{ return({'relations': [target]}) }}
{% endmaterialization %}

{# An index is named after its table and columns, by dbt and by the pipeline alike; dbt's own name is a hash of the hour. #}
{% macro postgres__get_create_index_sql(relation, index_dict) -%}
create index if not exists ix_{{ this.identifier }}_{{ index_dict['columns'] | join('_') }}
on {{ relation }} ({{ index_dict['columns'] | join(', ') }})
{%- endmacro %}
