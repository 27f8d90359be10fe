"""Results in words: the tables of every job, and how they are printed."""
