"""Statistics on arrays of results. NumPy only: nothing here knows of models, files or figures."""
