"""Measure GPU inference honestly, and fail the pull request that made it slower."""
