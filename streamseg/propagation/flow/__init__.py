"""The classical propagator: optical flow carries masks, colours and outlines mend them."""
