"""The synthetic hall: people, their walks, their looks, the ground truth. Pure."""
