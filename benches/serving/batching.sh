#!/usr/bin/env bash
# Continuous batching beside one request at a time: throughput and latency at 1, 2, 4 and 8 requests at once, by turns.
#
#     benches/serving/batching.sh PYROGRAPH MODEL [SIZE [STEPS [REQUESTS]]]
#
# Starts two servers of MODEL, one with --max-batch 2 (one guided image) and one with 16 rows, and asks each in turn, two
# rounds. Prints a line for each: requests, P50 and P99 in milliseconds, images a second.
set -euo pipefail
program=$1 model=$2 size=${3:-128} steps=${4:-6} requests=${5:-30}
log=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$log"' EXIT

start() {
  "$program" serve --model "$model" --port "$1" --max-batch "$2" --size "${size}x${size}" 2>"$log/$1" &
  until curl -sf "http://127.0.0.1:$1/ping"; do
    kill -0 $! || { cat "$log/$1"; exit 1; }
    sleep 0.2
  done
  printf 'port %s: %s\n' "$1" "$(grep -o 'batch_rows=.*' "$log/$1")"
}

start 7401 2
start 7402 16
for round in 1 2; do
  for clients in 1 2 4 8; do
    for port in 7401 7402; do
      body="{\"prompt\": \"a cat\", \"parameters\": {\"num_inference_steps\": $steps, \"width\": $size, \"height\": $size}}"
      "$program" loadtest --quiet --json --url "http://127.0.0.1:$port/invocations" --data "$body" -n "$requests" -c "$clients" --warmup 1 |
        python3 -c "
import json, sys
report = json.load(sys.stdin)
latency = report['latency']
print('round $round, $clients at once,', 'alone  ' if $port == 7401 else 'batched', latency['n'], 'requests:',
      'P50 %.1f ms, P99 %.1f ms, %.2f images/s' % (latency['p50_ms'], latency['p99_ms'], report['images_per_second']))"
    done
  done
done
