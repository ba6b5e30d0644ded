"""Options, output, completion and exit status that all commands share."""
