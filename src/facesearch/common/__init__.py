"""What every room uses: validation, equality and pickling, printable text and tables, work done once, work in order on all cores, forks."""
