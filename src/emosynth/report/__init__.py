"""Step 06: figures and the page that people read, made from files of the steps before and from nothing else."""
