#!/bin/sh
# The bundled maze TRM (rrjax/bundled/trm-maze10), in five stages: 7x7 mazes, then 10x10 mazes twice,
# then 10x10 mazes of which half have at least 10 moves, twice as well, at lower and lower rates.
# Attention over rows and columns has the same weights for every size.
# Measured: 149 minutes for the 3,000, 3,500, 3,700, 8,000 and 5,500 steps on one CPU core; the
# last one is in the box and solves .801 of 512 held-out mazes.
# Usage: sh scripts/models/train_trm_maze10.sh FOLDER
set -eu
folder=${1:?give a folder for data sets and runs}
config="$(dirname "$0")/../../recipes/cpu_maze10.yaml"
[ -d "$folder/maze7" ] || rrjax maze "$folder/maze7" --size 7 --unique --min-path 3 \
    --num-train 40000 --num-test 512 --seed 4
[ -d "$folder/maze10-short" ] || rrjax maze "$folder/maze10-short" --size 10 --unique \
    --min-path 4 --num-train 40000 --num-test 512 --seed 4
[ -d "$folder/maze10" ] || rrjax maze "$folder/maze10" --size 10 --unique --min-path 4 10 \
    --num-train 40000 --num-test 512 --seed 5 --augment 8
rrjax train --config "$config" --data "$folder/maze7" --out "$folder/stage1" \
    --steps 3000 --muon-lr 0.005 --lr-min-ratio 0.1 --ema-rate 0.99 --seed 0 \
    --log-every 50 --eval-every 1000 --checkpoint-every 250 --eval-puzzles 192
rrjax train --config "$config" --data "$folder/maze10-short" --out "$folder/stage2" \
    --start "$folder/stage1" --steps 3500 --muon-lr 0.003 --ema-rate 0.99 --seed 0 \
    --log-every 50 --eval-every 1000 --checkpoint-every 250 --eval-puzzles 192
rrjax train --config "$config" --data "$folder/maze10-short" --out "$folder/stage3" \
    --start "$folder/stage2" --steps 3700 --muon-lr 0.002 --ema-rate 0.99 --seed 1 \
    --log-every 50 --eval-every 1000 --checkpoint-every 250 --eval-puzzles 192
rrjax train --config "$config" --data "$folder/maze10" --out "$folder/stage4" \
    --start "$folder/stage3" --steps 8000 --seed 3 \
    --log-every 50 --eval-every 1000 --checkpoint-every 250 --eval-puzzles 192
rrjax train --config "$config" --data "$folder/maze10" --out "$folder/trm-maze10" \
    --start "$folder/stage4" \
    --log-every 50 --eval-every 1000 --checkpoint-every 250 --eval-puzzles 192
