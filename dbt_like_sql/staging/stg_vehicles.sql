{{ config(materialized='view') }}

select
    vehicles.plate,
    vehicles.fleet_number,
    vehicles.carrier_code,
    vehicles.unit_code,
    vehicles.contract_id,
    vehicles.vehicle_class,
    vehicles.default_area,
    vehicles.seats,
    vehicles.status,
    vehicles.titular_plate,
    coalesce(vehicles.valid_from, date '0001-01-01') as valid_from,
    -- ends at the latest when the next row begins: a join by plate and day never finds two
    least(
        coalesce(vehicles.valid_to, date '9999-12-31'),
        lead(coalesce(vehicles.valid_from, date '0001-01-01')) over (
            partition by vehicles.plate order by vehicles.valid_from nulls first
        ) - 1
    ) as valid_to
from {{ source('ref', 'vehicles') }} as vehicles
