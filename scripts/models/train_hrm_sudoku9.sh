#!/bin/sh
# The bundled 9x9 HRM (rrjax/bundled/hrm-sudoku9): token mixing, half of the puzzles minimal and half
# with 24 to 40 clues.
# Measured: 46 minutes for the 4,500 steps on 2 CPU cores; the model solves .270 of 512 held-out
# puzzles.
# Usage: sh scripts/models/train_hrm_sudoku9.sh FOLDER
set -eu
folder=${1:?give a folder for data set and run}
[ -d "$folder/sudoku9-mixed" ] || rrjax sudoku "$folder/sudoku9-mixed" \
    --mix minimal=1 clues:24-40=1 --num-train 40000 --num-test 512 --seed 9
rrjax train --config "$(dirname "$0")/../../recipes/cpu_hrm_sudoku9.yaml" \
    --data "$folder/sudoku9-mixed" --out "$folder/hrm-sudoku9" --augment \
    --log-every 50 --eval-every 450 --checkpoint-every 150 --eval-puzzles 128 --cpu-devices 2
