{{ config(materialized='view') }}

select
    trips.trip_id,
    trips.operational_date,
    trips.unit_code,
    coalesce(units.name, trips.unit_code) as unit_name,
    trips.carrier_code,
    coalesce(carriers.name, trips.carrier_code) as carrier_name,
    trips.contract_id,
    trips.plate,
    vehicle.fleet_number,
    vehicle.vehicle_class,
    trips.device_id,
    trips.driver_id,
    trips.shift_code,
    trips.area,
    trips.area_reason,
    trips.purpose,
    trips.route_code,
    coalesce(routes.name, trips.route_code) as route_name,
    trips.origin_poi_id,
    coalesce(origin.name, trips.origin_poi_id) as origin_name,
    trips.destination_poi_id,
    coalesce(destination.name, trips.destination_poi_id) as destination_name,
    trips.started_at,
    trips.ended_at,
    trips.started_at at time zone coalesce(units.timezone, 'America/Sao_Paulo') as started_local,
    trips.ended_at at time zone coalesce(units.timezone, 'America/Sao_Paulo') as ended_local,
    trips.km_odometer,
    trips.km_gps,
    trips.km_measured,
    trips.km_method,
    trips.km_uncertainty,
    trips.coverage_pct,
    trips.evidence_grade,
    trips.source,
    costs.tariff_id,
    costs.billable_km,
    costs.rate_brl_per_km,
    costs.variable_cost_brl,
    costs.cost_status,
    scores.compliance_score
from {{ source('fact', 'trips') }} as trips
left join {{ source('fact', 'trip_costs') }} as costs on trips.trip_id = costs.trip_id
left join {{ source('fact', 'trip_scores') }} as scores on trips.trip_id = scores.trip_id
left join {{ source('ref', 'units') }} as units on trips.unit_code = units.unit_code
left join {{ source('ref', 'carriers') }} as carriers on trips.carrier_code = carriers.carrier_code
left join {{ source('ref', 'routes') }} as routes on trips.route_code = routes.route_code
-- dated rows, at most one per day; the place of arrival is the one that was valid on the local day of the arrival
left join {{ ref('stg_vehicles') }} as vehicle
    on
        trips.plate = vehicle.plate
        and trips.operational_date between vehicle.valid_from and vehicle.valid_to
left join {{ ref('stg_places') }} as origin
    on
        trips.origin_poi_id = origin.poi_id
        and trips.operational_date between origin.valid_from and origin.valid_to
left join {{ ref('stg_places') }} as destination
    on
        trips.destination_poi_id = destination.poi_id
        and cast(trips.ended_at at time zone coalesce(units.timezone, 'America/Sao_Paulo') as date)
        between destination.valid_from and destination.valid_to
