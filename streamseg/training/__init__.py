"""Small networks of our own: the recipes that their shipped weights come from."""
