"""How well a model finds people: COCO's AP, PCK, false negatives."""
