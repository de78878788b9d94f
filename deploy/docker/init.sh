#!/bin/sh
# Makes the keys and the genesis of the four validators of compose.yaml, if there are none. One machine holds all keys here: in a real network each
# organisation makes its own (docs/guide.md).
set -eu
genesis=/wallet/config/genesis.json
if [ -e "$genesis" ]; then
  exit 0
fi
cd "$(mktemp -d)"
# If something fails here, `docker compose down --volumes` begins anew.
quorate keygen account faucet --home /wallet --quiet
faucet=$(sed -n 's/^address = "\(.*\)"$/\1/p' /wallet/wallet/faucet.pub)
quorate genesis new --name compose --account "$faucet=1000000000" --out draft.json
for number in 1 2 3 4; do
  home=/validators/$number
  quorate keygen validator --home "$home"
  quorate genesis add-validator --home "$home" --draft draft.json --name "validator-$number" --address "/dns4/validator-$number/tcp/6180" \
    --operator "$faucet"
done
quorate genesis build --draft draft.json --out genesis.json ./*.fragment.json
for number in 1 2 3 4; do
  quorate node init --home "/validators/$number" --genesis genesis.json
  chown -R 10001:10001 "/validators/$number"
done
mkdir -p /wallet/config
chown -R 10001:10001 /wallet
# Last: it says that all is there.
cp genesis.json "$genesis"
