-- As the master, in the service's database, with the variable username. Every statement may run again.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
SELECT current_database() AS database, current_database() || '_service' AS owner,
  current_database() || '_service_clone' AS clone \gset

SELECT format('CREATE ROLE %I LOGIN', role) FROM unnest(ARRAY[:'owner', :'clone']) AS role
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = role) \gexec

-- Sessions of the clone start as the owner: what one creates, the other may change.
GRANT :"owner" TO :"clone";
ALTER ROLE :"clone" SET role TO :'owner';

-- Only the service's users may use its database. They create what the service needs in the schema public.
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
GRANT CONNECT, TEMPORARY ON DATABASE :"database" TO :"owner";
GRANT USAGE, CREATE ON SCHEMA public TO :"owner";

\password :username
