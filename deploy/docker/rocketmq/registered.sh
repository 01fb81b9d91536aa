#!/bin/bash
# Whether the name server knows the broker, which opens its port before it can be used:
# registered.sh namesrv:9876 broker-a
set -euo pipefail
IFS=: read -r host port <<<"$1"
# GET_BROKER_CLUSTER_INFO (106): length of the frame, length of the header, header.
header='{"code":106,"language":"OTHER","version":401,"opaque":1,"flag":0,"extFields":{}}'
exec 3<>"/dev/tcp/$host/$port"
printf "\\0\\0\\0\\x$(printf %02x $((${#header} + 4)))\\0\\0\\0\\x$(printf %02x ${#header})%s" "$header" >&3
length=$(head -c 4 <&3 | od -An -tu4 --endian=big)
head -c "$length" <&3 | grep -aq "\"$2\""
