"""Seen: what one picture shows at each pixel, and the regions in it; knows no words but colours."""
