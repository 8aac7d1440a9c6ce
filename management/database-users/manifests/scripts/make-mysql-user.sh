#!/usr/bin/env bash
# Runs in the image of MariaDB, whose client also connects to MySQL, after fetch-secrets.sh: creates or repairs the user
# whose password is stored afterwards, and logs in as it.
set -euo pipefail
cd "$SECRETS"
username=$(<username)
database=${username%_clone}
database=${database%_service}

ask() {
  mariadb --defaults-file="$SECRETS/connections" --defaults-group-suffix="-$1" --batch --skip-column-names
}

# A new password would refuse the next connections of Pods that still use the old one.
if [ -e replaced ]; then
  sessions=$(ask master <<<"SELECT count(*) FROM information_schema.processlist WHERE user = '$username'")
  if [ "$sessions" -gt 0 ]; then
    echo "$username: has $sessions sessions, so its password is not changed; restart the Pods that started before" \
      "$(<replaced) was stored, then run the CronJob again" >&2
    exit 1
  fi
fi

# Statements are on the standard input, not on a command line. MySQL writes none of their passwords to a log:
# https://dev.mysql.com/doc/refman/8.4/en/password-logging.html
password=$(<password)
password=${password//\\/\\\\}
password=${password//\'/\'\'}
ask master <<END
CREATE USER IF NOT EXISTS '$username'@'%' IDENTIFIED BY '$password';
ALTER USER '$username'@'%' IDENTIFIED BY '$password' REQUIRE SSL;
GRANT ALL PRIVILEGES ON \`$database\`.* TO '$username'@'%';
END
ask user <<<"SELECT concat(substring_index(user(), '@', 1), ' reaches ', database(), ' with TLS')"
