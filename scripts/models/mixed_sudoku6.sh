#!/bin/sh
# The data of the bundled 6x6 baselines: minimal puzzles to test on, the same as those of
# trm-sudoku6, and a mixture of puzzles with many and with few clues to train on.
# Usage: sh scripts/models/mixed_sudoku6.sh FOLDER
set -eu
folder=${1:?give a folder for the data sets}
[ -d "$folder/sudoku6" ] || rrjax sudoku "$folder/sudoku6" --size 6 \
    --num-train 10000 --num-test 512 --seed 0
[ -d "$folder/sudoku6-mixed" ] || rrjax sudoku "$folder/sudoku6-mixed" --size 6 \
    --num-train 10000 --num-test 64 --seed 0 --mix minimal=1 clues:14-30=2
rm -rf "$folder/sudoku6-mixed/test"
cp -r "$folder/sudoku6/test" "$folder/sudoku6-mixed/test"
