"""Two git revisions, interleaved on one machine: the comparison that needs no stored baseline."""
