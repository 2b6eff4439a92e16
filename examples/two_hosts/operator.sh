#!/bin/sh
# The operator's machine: operator.sh HOST. Keep certs/operator here, and offline.
set -eu
auror certs certs --clients 6 --server "${1:-127.0.0.1}" --group-size 2 --colluders 1 \
    --dataset digits --rounds 20
