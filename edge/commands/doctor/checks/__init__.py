"""The doctor's checks: one module per part of the machine."""
