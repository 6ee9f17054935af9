"""Latency and throughput by batch and precision, as pictures for a README."""
