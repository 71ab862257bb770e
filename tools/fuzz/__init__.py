"""Fuzzers: damaged inputs for everything that reads what a stranger made."""
