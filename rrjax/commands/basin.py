"""`rrjax basin`: from which starts near z0 does a model find the answer?"""

from rrjax.commands.job import Job

main = Job("basin", "basins")
parse = main.parse
