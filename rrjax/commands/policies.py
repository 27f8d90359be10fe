"""`rrjax policies`: accuracy against compute, by how it is spent and which answer is chosen."""

from rrjax.commands.job import Job

main = Job("policies", "spending")
parse = main.parse
