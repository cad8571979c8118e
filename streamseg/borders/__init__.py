"""What comes from outside as text, read at a cost that it cannot drive up."""
