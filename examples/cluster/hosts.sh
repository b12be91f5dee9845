#!/bin/bash
# One gate on a plain list of hosts over ssh. Run it on the first of them; the others are in HOSTS.
#
#   LORAS=runs/ POLICY=policy STORE=/shared/lora_checks HOSTS="gpu-2 gpu-3" GPUS=8 ./hosts.sh
#
# Every host has the same kind of GPU, GPUS of them, sees LORAS, POLICY, STORE and the environment of Python at the
# same paths, and lets you in by key.
set -euo pipefail
: "${LORAS:?a file or folder of LoRAs}" "${POLICY:?folder of the policy}" "${STORE:?a folder or URL that every host sees}"
: "${HOSTS:?the other hosts, separated by spaces}" "${GPUS:?GPUs of each host}"
read -ra hosts <<<"$HOSTS"
ray=$(command -v ray)
address=${ADDRESS:-$(hostname --ip-address | awk '{print $1}')} port=${PORT:-6379}

# Only who has the token can use this Ray.
RAY_AUTH_TOKEN=$(python3 -c 'import secrets; print(secrets.token_hex(32))')
export RAY_AUTH_TOKEN RAY_AUTH_MODE=token RAY_ADDRESS=$address:$port

trap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT # ends the Ray of every host, and no other

"$ray" start --head --node-ip-address="$address" --port="$port" --num-gpus="$GPUS" --include-dashboard=false \
  --disable-usage-stats --block >ray-head.log 2>&1 &
for ((tries = 0; tries < 60; tries++)); do
  "$ray" status --address="$RAY_ADDRESS" >/dev/null 2>&1 && break
  sleep 2
done

# The token goes through standard input, since other users can read a command line. When that ends, because this
# script has ended or the connection is cut, so does the host's Ray.
for host in "${hosts[@]}"; do
  { echo "$RAY_AUTH_TOKEN" && exec sleep infinity; } | ssh -o BatchMode=yes "$host" "
    read -r RAY_AUTH_TOKEN && export RAY_AUTH_TOKEN RAY_AUTH_MODE=token
    $ray start --address=$RAY_ADDRESS --num-gpus=$GPUS --disable-usage-stats --block </dev/null &
    trap 'kill %1' EXIT
    cat >/dev/null" >"ray-$host.log" 2>&1 &
done

# The gate begins when every GPU has joined.
pytest --lora-cluster auto --lora-cluster-workers "$((GPUS * (${#hosts[@]} + 1)))" \
  --lora "$LORAS" --lora-policy "$POLICY" --lora-store "$STORE" --lora-report "${REPORT:-lora-report}"
