"""`rrjax rollout`: thousands of segments: what more compute gives, and where failures go."""

from rrjax.commands.job import Job

main = Job("rollout", "rollouts")
parse = main.parse
