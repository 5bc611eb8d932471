#!/bin/sh
# Gives a running HAProxy a renewed certificate through its runtime API. There is no reload, so no connection ends.
#
#   haproxy-certificate.sh FILE NAME COMMAND...
#
# FILE has the certificate, its chain and its key. NAME is their path in haproxy.cfg. COMMAND sends its input to the
# runtime API and prints the answer. Examples, with compose and without:
#
#   ./haproxy-certificate.sh certs/rte.pem /etc/haproxy/certs/rte.pem docker compose exec -T haproxy nc 127.0.0.1 9999
#   ./haproxy-certificate.sh /etc/haproxy/certs/rte.pem /etc/haproxy/certs/rte.pem socat - TCP:127.0.0.1:9999
#
# FILE must stay where haproxy.cfg names it: HAProxy reads it again at the next start.
set -eu
if [ $# -lt 3 ]; then
	sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
	exit 2
fi
file=$1 name=$2
shift 2
# An empty line ends the certificate.
answer=$({
	printf 'set ssl cert %s <<\n' "$name"
	sed '/^[[:space:]]*$/d' "$file"
	printf '\n'
} | "$@")
case $answer in
*Transaction*) ;;
*)
	echo "HAProxy did not accept $file: $answer" >&2
	exit 1
	;;
esac
answer=$(printf 'commit ssl cert %s\n' "$name" | "$@")
case $answer in
*Success*) echo "HAProxy uses $file" ;;
*)
	echo "HAProxy did not commit $file: $answer" >&2
	exit 1
	;;
esac
