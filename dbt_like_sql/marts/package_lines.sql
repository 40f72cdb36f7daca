{{ config(materialized='view') }}

-- a text that is missing is '' in here, as it is to the package, so that lines can be joined by equality
with variable as (
    select
        {{ cycle_start('days.operational_date') }} as cycle_start,
        coalesce(days.unit_code, '') as unit_code,
        coalesce(days.carrier_code, '') as carrier_code,
        coalesce(days.contract_id, '') as contract_id,
        days.plate,
        days.area,
        coalesce(days.vehicle_class, '') as vehicle_class,
        coalesce(days.regime, '') as regime,
        days.rate_brl_per_km,
        (array_agg(days.fleet_number order by days.operational_date desc))[1] as fleet_number,
        sum(days.trips) as trips,
        sum(days.km) as km,
        sum(days.variable_brl) as variable_brl
    from {{ ref('package_days') }} as days
    group by
        cycle_start,
        coalesce(days.unit_code, ''),
        coalesce(days.carrier_code, ''),
        coalesce(days.contract_id, ''),
        days.plate,
        days.area,
        coalesce(days.vehicle_class, ''),
        coalesce(days.regime, ''),
        days.rate_brl_per_km
),

-- the line with most km of an owner, and of an area of it, takes what is not shared out
ranked as (
    select
        variable.*,
        row_number() over (
            partition by
                variable.cycle_start, variable.unit_code, variable.carrier_code, variable.contract_id, variable.plate
            order by
                variable.km desc,
                variable.area asc,
                variable.vehicle_class asc,
                variable.regime asc,
                variable.rate_brl_per_km asc
        ) as place,
        row_number() over (
            partition by
                variable.cycle_start,
                variable.unit_code,
                variable.carrier_code,
                variable.contract_id,
                variable.plate,
                variable.area
            order by
                variable.km desc,
                variable.vehicle_class asc,
                variable.regime asc,
                variable.rate_brl_per_km asc
        ) as place_in_area
    from variable
),

contracts as (
    select distinct on (contracts.contract_id)
        contracts.contract_id,
        contracts.unit_code,
        contracts.carrier_code,
        contracts.kind
    from {{ source('ref', 'contracts') }} as contracts
    order by contracts.contract_id asc, contracts.valid_from desc nulls last
),

fixed_days as (
    select
        {{ cycle_start('days.operational_date') }} as cycle_start,
        coalesce(vehicle.unit_code, contracts.unit_code, '') as unit_code,
        coalesce(vehicle.carrier_code, contracts.carrier_code, '') as carrier_code,
        days.contract_id,
        days.plate,
        days.operational_date,
        days.amount_brl,
        vehicle.fleet_number,
        coalesce(vehicle.vehicle_class, '') as vehicle_class,
        coalesce(vehicle.default_area, '') as default_area
    from {{ source('fact', 'fixed_cost_days') }} as days
    left join contracts on days.contract_id = contracts.contract_id
    left join {{ ref('stg_vehicles') }} as vehicle
        on days.plate = vehicle.plate and days.operational_date between vehicle.valid_from and vehicle.valid_to
),

shares as (
    select
        days.cycle_start,
        days.unit_code,
        days.carrier_code,
        days.contract_id,
        days.plate,
        sum(days.amount_brl) as fixed_brl,
        max(days.operational_date) as last_date,
        (array_agg(days.fleet_number order by days.operational_date desc))[1] as fleet_number,
        (array_agg(days.vehicle_class order by days.operational_date desc))[1] as vehicle_class,
        (array_agg(days.default_area order by days.operational_date desc))[1] as default_area
    from fixed_days as days
    group by days.cycle_start, days.unit_code, days.carrier_code, days.contract_id, days.plate
),

-- whole in one line: of the default area, else of the area with most km, else of the general one
placed as (
    select
        shares.cycle_start,
        shares.unit_code,
        shares.carrier_code,
        shares.contract_id,
        shares.plate,
        shares.fixed_brl,
        shares.fleet_number,
        shares.vehicle_class,
        coalesce(nullif(shares.default_area, ''), ranked.area, 'IND') as area,
        monthly.monthly_brl
    from shares
    left join ranked
        on
            shares.cycle_start = ranked.cycle_start
            and shares.unit_code = ranked.unit_code
            and shares.carrier_code = ranked.carrier_code
            and shares.contract_id = ranked.contract_id
            and shares.plate = ranked.plate
            and ranked.place = 1
    left join lateral (
        select sum(costs.amount_brl_per_month) as monthly_brl
        from {{ source('ref', 'fixed_costs') }} as costs
        where
            costs.plate = shares.plate
            and costs.contract_id = shares.contract_id
            and shares.last_date
            between coalesce(costs.valid_from, date '0001-01-01') and coalesce(costs.valid_to, date '9999-12-31')
    ) as monthly on true
),

lines as (
    select
        coalesce(ranked.cycle_start, placed.cycle_start) as cycle_start,
        coalesce(ranked.unit_code, placed.unit_code) as unit_code,
        coalesce(ranked.carrier_code, placed.carrier_code) as carrier_code,
        coalesce(ranked.contract_id, placed.contract_id) as contract_id,
        coalesce(ranked.plate, placed.plate) as plate,
        coalesce(ranked.area, placed.area) as area,
        coalesce(ranked.vehicle_class, placed.vehicle_class) as vehicle_class,
        coalesce(ranked.regime, '') as regime,
        ranked.rate_brl_per_km,
        case when ranked.plate is null then placed.fleet_number else ranked.fleet_number end as fleet_number,
        ranked.trips,
        ranked.km,
        ranked.variable_brl,
        placed.monthly_brl,
        placed.fixed_brl
    from ranked
    full join placed
        on
            ranked.cycle_start = placed.cycle_start
            and ranked.unit_code = placed.unit_code
            and ranked.carrier_code = placed.carrier_code
            and ranked.contract_id = placed.contract_id
            and ranked.plate = placed.plate
            and ranked.area = placed.area
            and ranked.place_in_area = 1
),

-- why a line has a fixed share and no kilometre
vehicles as (
    select
        {{ cycle_start('days.operational_date') }} as cycle_start,
        days.plate,
        coalesce(bool_or(days.coverage_status <> 'silent'), false) as is_seen,
        coalesce(sum(days.unpriced_trips), 0) > 0 as has_unpriced
    from {{ ref('vehicle_days') }} as days
    group by cycle_start, days.plate
),

explained as (
    select
        lines.*,
        case
            when lines.km is not null then 'billed'
            when vehicles.has_unpriced then 'unpriced'
            when vehicles.is_seen then 'nothing_billed'
            else 'no_data'
        end as line_status
    from lines
    left join vehicles on lines.cycle_start = vehicles.cycle_start and lines.plate = vehicles.plate
)

select
    concat_ws(
        ' ',
        explained.plate,
        coalesce(nullif(explained.unit_code, ''), '-'),
        coalesce(nullif(explained.carrier_code, ''), '-'),
        coalesce(nullif(explained.contract_id, ''), '-'),
        explained.area,
        coalesce(nullif(explained.vehicle_class, ''), '-'),
        coalesce(nullif(explained.regime, ''), '-'),
        coalesce(cast(explained.rate_brl_per_km as text), '-'),
        to_char(explained.cycle_start, 'YYYY-MM-DD')
    ) as package_line_id,
    explained.cycle_start,
    {{ cycle_end('explained.cycle_start') }} as cycle_end,
    nullif(explained.unit_code, '') as unit_code,
    coalesce(units.name, nullif(explained.unit_code, '')) as unit_name,
    nullif(explained.carrier_code, '') as carrier_code,
    coalesce(carriers.name, nullif(explained.carrier_code, '')) as carrier_name,
    nullif(explained.contract_id, '') as contract_id,
    contracts.kind as contract_kind,
    explained.plate,
    explained.fleet_number,
    explained.area,
    nullif(explained.vehicle_class, '') as vehicle_class,
    nullif(explained.regime, '') as regime,
    explained.rate_brl_per_km,
    explained.line_status,
    explained.trips,
    case when explained.line_status = 'nothing_billed' then 0.00 else explained.km end as km,
    case when explained.line_status = 'nothing_billed' then 0.00 else explained.variable_brl end as variable_brl,
    explained.monthly_brl,
    explained.fixed_brl,
    coalesce(explained.variable_brl, 0) + coalesce(explained.fixed_brl, 0) as total_brl
from explained
left join {{ source('ref', 'units') }} as units on explained.unit_code = units.unit_code
left join {{ source('ref', 'carriers') }} as carriers on explained.carrier_code = carriers.carrier_code
left join contracts on explained.contract_id = contracts.contract_id
