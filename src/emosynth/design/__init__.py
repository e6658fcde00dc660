"""The design of a run: label spaces, cells, arms as five choices, and the one type of training rows."""
