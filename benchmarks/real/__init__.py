"""Real clips, sentences a user would type, and true boxes: is what is shown right, and honest."""
