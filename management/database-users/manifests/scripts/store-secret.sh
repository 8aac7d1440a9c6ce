#!/usr/bin/env bash
# Runs in the image of the AWS CLI, after make-user.sh: stores the credentials that the database has accepted. If a run
# is killed before that, the secret still has valid ones, and the next run repeats the rotation with a new password.
set -euo pipefail
cd "$SECRETS"

if [ "$(jq --sort-keys . stored.json)" != "$(jq --sort-keys . user.json)" ]; then
  aws secretsmanager put-secret-value --secret-id "$USER_SECRET" --secret-string file://user.json >/dev/null
  echo "$USER_SECRET: stored"
fi
