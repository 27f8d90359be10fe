#!/bin/sh
# The bundled 6x6 TRM (rrjax/bundled/trm-sudoku6): minimal puzzles, two token-mixing layers.
# Measured: 54 minutes for 900 steps on 2 shared cores beside other work; step 900 is in the
# box and solves .746 of 512 held-out puzzles.
# Usage: sh scripts/train_trm_sudoku6.sh FOLDER
set -eu
folder=${1:?give a folder for data set and run}
[ -d "$folder/sudoku6" ] || rrjax sudoku "$folder/sudoku6" --size 6 \
    --num-train 10000 --num-test 512 --seed 0
rrjax train --data "$folder/sudoku6" --out "$folder/trm-sudoku6" --augment \
    --arch.name trm --arch.hidden-size 128 --arch.H-cycles 2 --arch.L-cycles 3 --arch.L-layers 2 \
    --arch.mlp-t --arch.pos-encodings none \
    --global-batch-size 64 --steps 2000 --lr 1e-3 --lr-warmup-steps 100 --weight-decay 0.1 \
    --ema-rate 0.99 --seed 0 --log-every 25 --eval-every 100 --checkpoint-every 100 \
    --eval-puzzles 128
