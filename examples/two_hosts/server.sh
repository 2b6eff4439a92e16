#!/bin/sh
# The server's machine, with certs/server in ./server: server.sh HOST PORT
set -eu
auror-server --listen "${1:-127.0.0.1}:${2:-7443}" --credentials server --dataset digits --rounds 2
