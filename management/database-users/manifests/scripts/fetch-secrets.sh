#!/usr/bin/env bash
# Runs in the image of the AWS CLI, before make-user.sh: fetches the master's secret and the service's own, and gives
# the service's one a value where it has none yet or names another database. Everything goes into $SECRETS, which is
# memory; no secret goes onto a command line or into the log.
set -euo pipefail
umask 077
cd "$SECRETS"

fetch() {
  aws secretsmanager get-secret-value --secret-id "$1" --query SecretString --output text
}

fetch "$MASTER_SECRET" >master.json
if fetch "$USER_SECRET" >stored.json 2>error; then
  jq --raw-output --exit-status .password stored.json >password
elif grep --quiet ResourceNotFoundException error; then
  echo "$USER_SECRET has no value yet: making one"
  echo '{}' >stored.json
  # Letters and digits, so that every client takes it in every kind of connection string.
  aws secretsmanager get-random-password --password-length 48 --exclude-punctuation \
    --query RandomPassword --output text >password
else
  cat error >&2
  exit 1
fi

jq --null-input --rawfile password password --arg database "$DATABASE" --arg host "$HOST" \
  --argjson port "${PORT:-5432}" '{
  username: ($database + "_service"), password: ($password | rtrimstr("\n")),
  host: $host, port: $port, dbname: $database
}' >user.json
if [ "$(jq --sort-keys . stored.json)" != "$(jq --sort-keys . user.json)" ]; then
  aws secretsmanager put-secret-value --secret-id "$USER_SECRET" --secret-string file://user.json >/dev/null
  echo "$USER_SECRET: stored"
fi

# The certificates that RDS of this region is verified by, from where AWS publishes them.
case $AWS_REGION in
  cn-*) store=https://rds-truststore.s3.cn-north-1.amazonaws.com.cn ;;
  us-gov-*) store=https://truststore.pki.us-gov-west-1.rds.amazonaws.com ;;
  *) store=https://truststore.pki.rds.amazonaws.com ;;
esac
curl --fail --silent --show-error --proto =https --max-time 30 --retry 3 \
  --output ca.pem "$store/$AWS_REGION/$AWS_REGION-bundle.pem"

# How psql connects: as the master, and as the user.
jq --raw-output --arg ca "$SECRETS/ca.pem" --slurpfile user user.json '
  [{name: "master"} + $user[0] + {username, password}, {name: "user"} + $user[0]][] |
  "[\(.name)]\nhost=\(.host)\nport=\(.port)\ndbname=\(.dbname)\nuser=\(.username)\npassword=\(.password)
sslmode=verify-full\nsslrootcert=\($ca)\nconnect_timeout=10\n"
' master.json >connections
