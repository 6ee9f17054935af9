"""The report as one HTML file: it opens from a disk, without a network."""
