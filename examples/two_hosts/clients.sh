#!/bin/sh
# The other machine, with certs/clients in ./clients: clients.sh HOST PORT
# Six clients in one process; one of six machines says --credentials clients/000 instead.
set -eu
auror-client --server "${1:-127.0.0.1}:${2:-7443}" --credentials clients --clients 0-5 \
    --state state --dataset digits
