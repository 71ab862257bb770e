"""How well a model finds people: COCO's figures, people by size, PCK on the scene, pictures of what went wrong."""
