"""`edge-pose doctor`: looks at everything a run needs on this machine, and names what to do. Changes nothing."""
