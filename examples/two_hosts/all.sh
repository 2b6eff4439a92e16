#!/bin/sh
# Operator, server and clients on this machine, in folders of their own: all.sh FOLDER [PORT]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
folder=$1 port=${2:-7443}
mkdir -p "$folder/operator" "$folder/host-a" "$folder/host-b"
(cd "$folder/operator" && sh "$here/operator.sh" 127.0.0.1)
cp -r "$folder/operator/certs/server" "$folder/host-a/server"
cp -r "$folder/operator/certs/clients" "$folder/host-b/clients"
(cd "$folder/host-a" && exec sh "$here/server.sh" 127.0.0.1 "$port") &
server=$!
trap 'kill $server 2>/dev/null || true' EXIT
(cd "$folder/host-b" && sh "$here/clients.sh" 127.0.0.1 "$port")
wait $server
trap - EXIT
