-- As the master, in the service's database. Every statement may run again.
\set ON_ERROR_STOP on
SELECT current_database() AS database, current_database() || '_service' AS role \gset

SELECT format('CREATE ROLE %I LOGIN', :'role')
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = :'role') \gexec
\password :role

-- Only the service's user may use its database. That user creates what the service needs in the schema public.
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
GRANT CONNECT, TEMPORARY ON DATABASE :"database" TO :"role";
GRANT USAGE, CREATE ON SCHEMA public TO :"role";
