"""`edge-pose bench`: measures the models of this machine, each figure in a process of its own."""
