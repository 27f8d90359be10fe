#!/bin/sh
# The bundled 6x6 HRM (rrjax/bundled/hrm-sudoku6): minimal puzzles, attention with rotary positions.
# Measured: 61 minutes for 4,500 steps on 2 shared cores beside other work; step 4,500 is in
# the box and solves .627 of 512 held-out puzzles.
# Usage: sh scripts/models/train_hrm_sudoku6.sh FOLDER
set -eu
folder=${1:?give a folder for data set and run}
[ -d "$folder/sudoku6" ] || rrjax sudoku "$folder/sudoku6" --size 6 \
    --num-train 10000 --num-test 512 --seed 0
rrjax train --config "$(dirname "$0")/../../recipes/cpu_hrm_sudoku6.yaml" \
    --data "$folder/sudoku6" --out "$folder/hrm-sudoku6" --augment \
    --log-every 25 --eval-every 125 --checkpoint-every 125 --eval-puzzles 128
