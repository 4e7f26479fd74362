"""A daily report: its schedule, its figures, its phrases, its contents. Pure."""
