#!/bin/sh
# The bundled 6x6 TRM (rrjax/bundled/trm-sudoku6): minimal puzzles, two token-mixing layers.
# Measured: 54 minutes for 900 steps on 2 shared cores beside other work; step 900 is in the
# box and solves .746 of 512 held-out puzzles.
# Usage: sh scripts/models/train_trm_sudoku6.sh FOLDER
set -eu
folder=${1:?give a folder for data set and run}
[ -d "$folder/sudoku6" ] || rrjax sudoku "$folder/sudoku6" --size 6 \
    --num-train 10000 --num-test 512 --seed 0
rrjax train --config "$(dirname "$0")/../../recipes/cpu_trm_sudoku6.yaml" \
    --data "$folder/sudoku6" --out "$folder/trm-sudoku6" --augment \
    --log-every 25 --eval-every 100 --checkpoint-every 100 --eval-puzzles 128
