#!/bin/bash
# One broker and controller of compose.cluster.yaml: settings from the files beside this one, BROKER_ID and PUBLISHED (its
# host:port for subscribers) from the environment, certificates and the administrator's password from /run/secrets. The
# image's own start knows no --add-scram, and without an administrator from the first start on nobody could give anybody a
# login.
set -euo pipefail
cd "$(dirname "$0")"
settings=/tmp/server.properties
sed "s#{node}#$BROKER_ID#g; s#{published}#$PUBLISHED#; s#{certificate}#/run/secrets/kafka-${BROKER_ID}_tls.pem#; s#{authority}#/run/secrets/kafka_ca.pem#" \
  server.properties secured.properties cluster.properties >"$settings"
export KAFKA_LOG4J_OPTS="-Dlog4j2.configurationFile=$PWD/log4j2.properties"

if [ ! -e /var/lib/kafka/data/meta.properties ]; then
  # From a file, so that no list of processes shows the password; what is printed holds what is derived from it.
  administrator=$(umask 077 && mktemp)
  printf '%s\n' --add-scram "SCRAM-SHA-512=[name=admin,iterations=8192,password=$(</run/secrets/admin_kafka_password)]" >"$administrator"
  told=$(/opt/kafka/bin/kafka-storage.sh format --cluster-id "$CLUSTER_ID" --config "$settings" "@$administrator" 2>&1) \
    || { rm "$administrator"; sed '/SCRAM/d' <<<"$told" >&2; exit 1; }
  rm "$administrator"
fi
exec /opt/kafka/bin/kafka-server-start.sh "$settings"
