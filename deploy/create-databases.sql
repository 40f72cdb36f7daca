-- Two databases and two roles, neither a superuser; run once as an administrator of the server:
--   psql -v migrate_password="…" -v run_password="…" -f deploy/create-databases.sql "postgresql://admin@db/postgres"
-- fleet_migrate owns the tables and changes them (fleet-audit migrate, backup, restore); fleet_run is what services and runs
-- connect as: it reads and writes rows, all of them (bypassrls: policies are for people), and owns only what it publishes in
-- schema mart. With -v api_password="…" also the roles of the read API and the page (docs/api.md), which connect as fleet_api.
create role fleet_migrate login nosuperuser nocreatedb nocreaterole password :'migrate_password';
create role fleet_run login nosuperuser nocreatedb nocreaterole bypassrls password :'run_password';
grant fleet_run to fleet_migrate;
\if :{?api_password}
create role fleet_operations nologin;
create role fleet_finance nologin;
create role fleet_auditor nologin;
create role fleet_carrier nologin;
create role fleet_admin nologin;
create role fleet_api login noinherit password :'api_password';
grant fleet_operations, fleet_finance, fleet_auditor, fleet_carrier, fleet_admin to fleet_api;
\endif
create database fleet owner fleet_migrate encoding 'UTF8' template template0;
create database dagster owner fleet_migrate encoding 'UTF8' template template0;
revoke connect on database fleet from public;
revoke connect on database dagster from public;
grant connect, temporary on database fleet to fleet_run;
grant connect on database dagster to fleet_run;

-- what fleet_migrate creates later, in any schema
\connect fleet
alter default privileges for role fleet_migrate grant usage on schemas to fleet_run;
alter default privileges for role fleet_migrate grant select, insert, update, delete on tables to fleet_run;
alter default privileges for role fleet_migrate grant usage, select, update on sequences to fleet_run;
\connect dagster
alter default privileges for role fleet_migrate grant select, insert, update, delete on tables to fleet_run;
alter default privileges for role fleet_migrate grant usage, select, update on sequences to fleet_run;
