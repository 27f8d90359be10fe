#!/bin/sh
# The bundled maze TRM (rrjax/bundled/trm-maze10), in three stages: 7x7 mazes, then 10x10 mazes, then
# the same again at a lower rate. Attention over rows and columns has the same weights for every size.
# Measured: 56 minutes for the 3,000, 3,500 and 3,700 steps on one CPU core; the last one is in the box
# and solves .693 of 512 held-out mazes.
# Usage: sh scripts/models/train_trm_maze10.sh FOLDER
set -eu
folder=${1:?give a folder for data sets and runs}
config="$(dirname "$0")/../../recipes/cpu_maze10.yaml"
[ -d "$folder/maze7" ] || rrjax maze "$folder/maze7" --size 7 --unique --min-path 3 \
    --num-train 40000 --num-test 512 --seed 4
[ -d "$folder/maze10" ] || rrjax maze "$folder/maze10" --size 10 --unique --min-path 4 \
    --num-train 40000 --num-test 512 --seed 4
rrjax train --config "$config" --data "$folder/maze7" --out "$folder/trm-maze7" \
    --steps 3000 --muon-lr 0.005 --lr-min-ratio 0.1 --seed 0 \
    --log-every 50 --eval-every 1000 --checkpoint-every 250 --eval-puzzles 192
rrjax train --config "$config" --data "$folder/maze10" --out "$folder/trm-maze10-before" \
    --start "$folder/trm-maze7" --steps 3500 --muon-lr 0.003 --seed 0 \
    --log-every 50 --eval-every 1000 --checkpoint-every 250 --eval-puzzles 192
rrjax train --config "$config" --data "$folder/maze10" --out "$folder/trm-maze10" \
    --start "$folder/trm-maze10-before" \
    --log-every 50 --eval-every 1000 --checkpoint-every 250 --eval-puzzles 192
