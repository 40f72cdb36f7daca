{{ config(materialized='view') }}

select
    pois.poi_id,
    pois.unit_code,
    coalesce(pois.name, pois.poi_id) as name,
    pois.kind,
    pois.latitude,
    pois.longitude,
    coalesce(pois.valid_from, date '0001-01-01') as valid_from,
    -- ends at the latest when the next row begins: a join by place and day never finds two
    least(
        coalesce(pois.valid_to, date '9999-12-31'),
        lead(coalesce(pois.valid_from, date '0001-01-01')) over (
            partition by pois.poi_id order by pois.valid_from nulls first
        ) - 1
    ) as valid_to
from {{ source('ref', 'pois') }} as pois
