#!/bin/sh
# 60,000 9x9 Sudokus to train on, from rrjax alone: of 30 puzzles 12 are minimal as they come, 6 have
# 24 to 40 clues, and 8, 3 and 1 need at least 10, 30 and 100 guesses. None is in the hard test set.
# It takes some 3.6 hours on two cores, by the time of a piece of each kind; most of it goes into the
# 2,017 puzzles of at least 100 guesses. If it is cut off, the same command goes on.
# Usage: sh scripts/models/make_hard_training_set.sh FOLDER
set -eu
exec rrjax sudoku "${1:?give a folder for the data set}" --mix hard --num-train 60000 --num-test 512 \
    --seed 17
