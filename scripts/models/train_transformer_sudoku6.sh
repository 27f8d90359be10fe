#!/bin/sh
# The bundled 6x6 transformer (rrjax/bundled/transformer-sudoku6): trained on puzzles with many and with few clues.
# Measured: 20 minutes for 4,000 steps on a shared core; step 4,000 is in the box and solves
# 0.254 of 512 minimal held-out puzzles.
# Usage: sh scripts/models/train_transformer_sudoku6.sh FOLDER
set -eu
folder=${1:?give a folder for data set and run}
sh "$(dirname "$0")/mixed_sudoku6.sh" "$folder"
rrjax train --config "$(dirname "$0")/../../recipes/cpu_transformer_sudoku6.yaml" \
    --data "$folder/sudoku6-mixed" --out "$folder/transformer-sudoku6" --augment --log-every 50 \
    --eval-every 500 --checkpoint-every 250 --eval-puzzles 128 --cpu-devices 1
