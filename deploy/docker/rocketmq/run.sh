#!/bin/bash
# Runs one of RocketMQ's start scripts: run.sh mqbroker -c broker.conf
# They start Java as a child of theirs and pass no signal on: as the first process of a container
# they would be killed when their time is over, and the broker with them, its offsets not written.
stop() {
  for exe in /proc/[0-9]*/exe; do
    if [[ $(readlink "$exe") == */java ]]; then
      pid=${exe#/proc/}
      kill -TERM "${pid%/exe}"
    fi
  done
}
trap stop TERM INT

sh "$@" &
script=$!
# A signal ends the first wait, not what it waits for.
until wait "$script"; status=$?; ! kill -0 "$script" 2>/dev/null; do :; done
exit "$status"
