#!/bin/sh
# The bundled 9x9 TRM (rrjax/bundled/trm-sudoku9): 26-40 clues, two token-mixing layers of width 128.
# Measured: 69 minutes for the first 3,000 steps on 2 shared cores beside other work; step 3,000 is in the
# box and solves .506 of 512 held-out puzzles. The learning rate is constant: go on for a better one.
# Usage: sh scripts/models/train_trm_sudoku9.sh FOLDER
set -eu
folder=${1:?give a folder for data set and run}
[ -d "$folder/sudoku9" ] || rrjax sudoku "$folder/sudoku9" --size 9 \
    --num-train 20000 --num-test 512 --clues 26 40 --seed 0
rrjax train --config "$(dirname "$0")/../../recipes/cpu_trm_sudoku9.yaml" \
    --data "$folder/sudoku9" --out "$folder/trm-sudoku9" --augment \
    --log-every 25 --eval-every 250 --checkpoint-every 125 --eval-puzzles 64
