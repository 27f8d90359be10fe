"""Results: arrays with axes and units, and the record of how they were made."""
