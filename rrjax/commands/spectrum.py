"""`rrjax spectrum`: the main job: are the puzzles that a model fails on the chaotic ones?"""

from rrjax.commands.job import Job

main = Job("spectrum", "spectra")
parse = main.parse
