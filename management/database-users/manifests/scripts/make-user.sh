#!/usr/bin/env bash
# Runs in the image of PostgreSQL, after fetch-secrets.sh: creates or repairs the service's user, and logs in as it.
set -euo pipefail
cd "$SECRETS"
export PGSERVICEFILE=$SECRETS/connections

# psql reads the new password twice from its input, as from a person, and sends what the server keeps of it: no
# statement holds it, so neither does the log of the database.
cat password password | PGSERVICE=master psql --no-psqlrc --quiet --file="$SCRIPTS/user.sql"
PGSERVICE=user psql --no-psqlrc --quiet --tuples-only --no-align \
  --command="SELECT format('%s reaches %s with TLS', current_user, current_database())"
