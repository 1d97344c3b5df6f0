"""Benchmarks: small functions with names, each runnable alone; README.md says how to read them."""
