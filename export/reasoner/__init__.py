"""The reasoning model's export: a vision graph and a decoder graph for every length, judged by the
tokens that they write."""
