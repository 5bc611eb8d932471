#!/usr/bin/env bash
# Publishes the status of a user over HTTP, through the operator port. Prints the answer.
set -euo pipefail
organization=${ORGANIZATION:-0d000000-0000-4000-8000-000000000001}
user=${USER_ID:-0d000000-0000-4000-8000-000000000102}

event=$(cat <<JSON
{"Id":"$(cat /proc/sys/kernel/random/uuid)","RootEntityType":"Organization","RootEntityId":"$organization",
"OrganizationId":"$organization","EntityType":"User","EntityId":"$user","EventType":"UserStatus","UserId":"$user",
"CanBeAllocatedTo":false,"Talking":true,"Available":true,"Schedule":true,"Serving":true,"ServiceTerminals":1,
"ActiveQueues":2,"ParkedCalls":0,"ServingCallback":false,"FetchMode":false,
"Timestamp":"$(date --utc +%FT%T.%3NZ)","MessageTTLSeconds":60}
JSON
)
# One event per line.
tr --delete '\n' <<<"$event" | curl --silent --show-error --fail-with-body --data-binary @- \
  ${CONSOLE_TOKEN:+--header "Authorization: Bearer $CONSOLE_TOKEN"} "${CONSOLE_URL:-http://127.0.0.1:9090}/api/publish"
