#!/usr/bin/env bash
# Runs in the image of PostgreSQL, after fetch-secrets.sh: creates or repairs the service's users, and logs in as the one
# whose password is stored afterwards.
set -euo pipefail
cd "$SECRETS"
export PGSERVICEFILE=$SECRETS/connections
username=$(<username)

ask() {
  PGSERVICE=$1 psql --no-psqlrc --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1 --set=username="$username"
}

# A new password would refuse the next connections of Pods that still use the old one.
if [ -e replaced ]; then
  sessions=$(ask master <<<"SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE usename = :'username'")
  if [ "$sessions" -gt 0 ]; then
    echo "$username: has $sessions sessions, so its password is not changed; restart the Pods that started before" \
      "$(<replaced) was stored, then run the CronJob again" >&2
    exit 1
  fi
fi

# psql reads the new password twice from its input, as from a person, and sends what the server keeps of it: no
# statement holds it, so neither does the log of the database.
cat password password | PGSERVICE=master psql --no-psqlrc --quiet --set=username="$username" --file="$SCRIPTS/user.sql"
ask user <<<"SELECT format('%s reaches %s with TLS', session_user, current_database())"
