"""How the frames of a CTC model become text: the most probable classes, or a search."""
