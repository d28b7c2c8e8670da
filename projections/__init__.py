"""Events to rows: what can be asked, derived from the log and always safe to delete."""
