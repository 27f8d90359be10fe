#!/bin/sh
# The bundled 6x6 HRM (rrjax/bundled/hrm-sudoku6): minimal puzzles, attention with rotary positions.
# Measured: 61 minutes for 4,500 steps on 2 shared cores beside other work; step 4,500 is in
# the box and solves .627 of 512 held-out puzzles.
# Usage: sh scripts/train_hrm_sudoku6.sh FOLDER
set -eu
folder=${1:?give a folder for data set and run}
[ -d "$folder/sudoku6" ] || rrjax sudoku "$folder/sudoku6" --size 6 \
    --num-train 10000 --num-test 512 --seed 0
rrjax train --data "$folder/sudoku6" --out "$folder/hrm-sudoku6" --augment \
    --arch.name hrm --arch.hidden-size 96 --arch.num-heads 4 \
    --arch.H-cycles 2 --arch.L-cycles 2 --arch.H-layers 2 --arch.L-layers 2 \
    --global-batch-size 64 --steps 6000 --lr 5e-4 --lr-warmup-steps 200 --weight-decay 0.1 \
    --ema-rate 0.99 --seed 0 --log-every 25 --eval-every 125 --checkpoint-every 125 \
    --eval-puzzles 128
