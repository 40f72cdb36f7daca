-- trips that have a price; the keys of their line of the measurement package come with their cost
with billed as (
    select
        trips.operational_date,
        trips.plate,
        trips.unit_code,
        trips.carrier_code,
        costs.contract_id,
        costs.billing_area as area,
        costs.vehicle_class,
        costs.regime,
        costs.rate_brl_per_km,
        vehicle.fleet_number,
        costs.billable_km as km,
        costs.variable_cost_brl as variable_brl
    from {{ source('fact', 'trips') }} as trips
    inner join {{ source('fact', 'trip_costs') }} as costs on trips.trip_id = costs.trip_id
    left join {{ ref('stg_vehicles') }} as vehicle
        on
            trips.plate = vehicle.plate
            and trips.operational_date between vehicle.valid_from and vehicle.valid_to
    where
        -- km that a contract does not pay cost 0.00 and has no rate
        costs.variable_cost_brl is not null
        and costs.rate_brl_per_km is not null
        and {{ in_run('trips.operational_date') }}
)

select
    concat_ws(
        ' ',
        billed.plate,
        coalesce(billed.unit_code, '-'),
        coalesce(billed.carrier_code, '-'),
        coalesce(billed.contract_id, '-'),
        billed.area,
        coalesce(billed.vehicle_class, '-'),
        coalesce(billed.regime, '-'),
        billed.rate_brl_per_km,
        to_char(billed.operational_date, 'YYYY-MM-DD')
    ) as package_day_id,
    billed.operational_date,
    billed.plate,
    billed.unit_code,
    billed.carrier_code,
    billed.contract_id,
    billed.area,
    billed.vehicle_class,
    billed.regime,
    billed.rate_brl_per_km,
    max(billed.fleet_number) as fleet_number,
    count(*) as trips,
    sum(billed.km) as km,
    sum(billed.variable_brl) as variable_brl
from billed
group by
    billed.operational_date,
    billed.plate,
    billed.unit_code,
    billed.carrier_code,
    billed.contract_id,
    billed.area,
    billed.vehicle_class,
    billed.regime,
    billed.rate_brl_per_km
