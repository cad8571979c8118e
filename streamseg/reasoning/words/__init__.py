"""Words: what a sentence asks for, and how much of it is understood; knows no pixels."""
