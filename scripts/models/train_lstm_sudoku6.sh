#!/bin/sh
# The bundled 6x6 lstm (rrjax/bundled/lstm-sudoku6): trained on puzzles with many and with few clues.
# Measured: 6 minutes for 4,000 steps on a shared core; step 4,000 is in the box and solves
# 0.000 of 512 minimal held-out puzzles.
# Usage: sh scripts/models/train_lstm_sudoku6.sh FOLDER
set -eu
folder=${1:?give a folder for data set and run}
[ -d "$folder/sudoku6" ] || rrjax sudoku "$folder/sudoku6" --size 6 \
    --num-train 10000 --num-test 512 --seed 0
if [ ! -d "$folder/sudoku6-mixed" ]; then
    rrjax sudoku "$folder/sudoku6-mixed" --size 6 --num-train 10000 --num-test 64 --seed 0 \
        --mix minimal=1 clues:14-30=2
    rm -r "$folder/sudoku6-mixed/test"
    cp -r "$folder/sudoku6/test" "$folder/sudoku6-mixed/test"
fi
rrjax train --config "$(dirname "$0")/../../recipes/cpu_lstm_sudoku6.yaml" \
    --data "$folder/sudoku6-mixed" --out "$folder/lstm-sudoku6" --augment --log-every 50 \
    --eval-every 500 --checkpoint-every 250 --eval-puzzles 128 --cpu-devices 1
