#!/usr/bin/env bash
# Runs in the image of the AWS CLI, before make-user.sh or make-mysql-user.sh: fetches the secrets of the master and of the
# service's user, and makes a password if there is none yet, or one of $ROTATE_AFTER_DAYS. Everything goes into $SECRETS,
# which is memory; no secret goes onto a command line or into the log.
#
# Passwords rotate by alternating users: the user that is not in the secret gets a new password, and then is stored. The
# one before remains valid until the next rotation, for Pods that started with it.
# Source: https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotation-strategy.html#rotating-secrets-two-users
set -euo pipefail
umask 077
cd "$SECRETS"
rm -f replaced # of an attempt before in this Pod
rotate_after=${ROTATE_AFTER_DAYS:-never}
engine=${ENGINE:-postgres} # a CronJob from before there was a choice has none
if [ "$engine" = mysql ]; then port=3306; else port=5432; fi
owner=${DATABASE}_service
clone=${owner}_clone
username=$owner

fetch() {
  aws secretsmanager get-secret-value --secret-id "$1" --output json
}

make_password() {
  # Letters and digits, so that every client takes it in every kind of connection string.
  aws secretsmanager get-random-password --password-length 48 --exclude-punctuation \
    --query RandomPassword --output text >password
}

fetch "$MASTER_SECRET" | jq --raw-output .SecretString >master.json
if fetch "$USER_SECRET" >version.json 2>error; then
  jq --raw-output .SecretString version.json >stored.json
  jq --raw-output --exit-status .password stored.json >password
  if [ "$(jq --raw-output .username stored.json)" = "$clone" ]; then username=$clone; fi
  changed=$(date --date "$(jq --raw-output --exit-status .CreatedDate version.json)" +%s)
  days=$((($(date +%s) - changed) / 86400))
  if [ "$rotate_after" = never ]; then
    echo "$USER_SECRET: $username"
  elif [ "$days" -lt "$rotate_after" ]; then
    echo "$USER_SECRET: $username, $days days old, is replaced after $rotate_after"
  else
    echo "$username" >replaced
    if [ "$username" = "$owner" ]; then username=$clone; else username=$owner; fi
    echo "$USER_SECRET: $days days old, is replaced by a new password of $username"
    make_password
  fi
elif grep --quiet ResourceNotFoundException error; then
  echo "$USER_SECRET has no value yet: making one"
  echo '{}' >stored.json
  make_password
else
  cat error >&2
  exit 1
fi

echo "$username" >username
jq --null-input --rawfile password password --arg username "$username" --arg database "$DATABASE" --arg host "$HOST" \
  --argjson port "${PORT:-$port}" '{
  username: $username, password: ($password | rtrimstr("\n")),
  host: $host, port: $port, dbname: $database
}' >user.json

# The certificates that RDS of this region is verified by, from where AWS publishes them.
case $AWS_REGION in
  cn-*) store=https://rds-truststore.s3.cn-north-1.amazonaws.com.cn ;;
  us-gov-*) store=https://truststore.pki.us-gov-west-1.rds.amazonaws.com ;;
  *) store=https://truststore.pki.rds.amazonaws.com ;;
esac
curl --fail --silent --show-error --proto =https --max-time 30 --retry 3 \
  --output ca.pem "$store/$AWS_REGION/$AWS_REGION-bundle.pem"

# How psql or mariadb connects: as the master, and as the user.
if [ "$engine" = mysql ]; then
  section='"[client-\(.name)]\nprotocol=tcp\nhost=\(.host)\nport=\(.port)\ndatabase=\(.dbname)\nuser=\(.username)
password=\"\(.password | gsub("\\\\"; "\\\\"))\"\nssl-ca=\($ca)\nssl-verify-server-cert\nconnect-timeout=10\n"'
else
  section='"[\(.name)]\nhost=\(.host)\nport=\(.port)\ndbname=\(.dbname)\nuser=\(.username)\npassword=\(.password)
sslmode=verify-full\nsslrootcert=\($ca)\nconnect_timeout=10\n"'
fi
jq --raw-output --arg ca "$SECRETS/ca.pem" --slurpfile user user.json '
  [{name: "master"} + $user[0] + {username, password}, {name: "user"} + $user[0]][] |
  '"$section" master.json >connections
