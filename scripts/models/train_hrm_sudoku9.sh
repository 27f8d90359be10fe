#!/bin/sh
# The bundled 9x9 HRM (rrjax/bundled/hrm-sudoku9): token mixing, half of the puzzles minimal and half
# with 24 to 40 clues. Three stages: a rate that falls to its end, a constant one, and one that
# begins at half of it and falls again.
# Measured: 131 minutes for the 4,500, 3,600 and 2,400 steps on 2 CPU cores, 33 of them on one core;
# the last one is in the box and solves .350 of 512 held-out puzzles.
# Usage: sh scripts/models/train_hrm_sudoku9.sh FOLDER
set -eu
folder=${1:?give a folder for data set and runs}
config="$(dirname "$0")/../../recipes/cpu_hrm_sudoku9.yaml"
[ -d "$folder/sudoku9-mixed" ] || rrjax sudoku "$folder/sudoku9-mixed" \
    --mix minimal=1 clues:24-40=1 --num-train 40000 --num-test 512 --seed 9
rrjax train --config "$config" --data "$folder/sudoku9-mixed" --out "$folder/stage1" --augment \
    --log-every 50 --eval-every 450 --checkpoint-every 150 --eval-puzzles 128 --cpu-devices 2
rrjax train --config "$config" --data "$folder/sudoku9-mixed" --out "$folder/stage2" --augment \
    --start "$folder/stage1/models/step_004500" --steps 3600 --lr-min-ratio 1 --ema-rate 0.999 --seed 1 \
    --log-every 50 --eval-every 900 --checkpoint-every 150 --eval-puzzles 256 --cpu-devices 2
rrjax train --config "$config" --data "$folder/sudoku9-mixed" --out "$folder/hrm-sudoku9" --augment \
    --start "$folder/stage2/models/step_003600" --steps 2400 --muon-lr 0.01 --seed 2 \
    --log-every 50 --eval-every 600 --checkpoint-every 150 --eval-puzzles 256 --cpu-devices 2
