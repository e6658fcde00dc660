"""A file of one's own before anything is run: what it is understood as, a profile for it, a preview; and a browser of rows."""
