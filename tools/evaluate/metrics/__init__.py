"""Figures: COCO's AP, PCK, people by size, false negatives."""
