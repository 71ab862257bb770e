"""`edge-pose doctor`: diagnoses this machine and names the fixes.

It changes nothing.
"""
