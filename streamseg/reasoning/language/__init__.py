"""What is said to a language model and read from it: prompts, answers, coordinates; runs none."""
