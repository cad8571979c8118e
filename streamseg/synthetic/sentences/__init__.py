"""What can be said of a scene: the vocabulary, sentences with their answers, answers over time."""
