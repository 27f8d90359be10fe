"""`rrjax ptrm`: many rollouts with noise before every segment, and which of them to believe."""

from rrjax.commands.job import Job

main = Job("ptrm", "noisy")
parse = main.parse
