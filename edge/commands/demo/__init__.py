"""`edge-pose demo`: the whole way, from synthetic people to a subscriber, with no hardware."""
