"""The interactive report: results and training runs as one HTML file that opens anywhere, offline.

`gather` reads what a page shows out of results, the panels (`overview`, `puzzle`, `trajectory`,
`restarts`, `slices`, `trainings`) bring their data and charts, and `assemble` writes the page.
Experiments add charts of their own: `rrjax.page.panels` says how.
"""
