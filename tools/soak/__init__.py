"""The soak test: rig, faults, samples, verdict."""
