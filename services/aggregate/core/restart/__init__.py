"""Where a site resumes after a start, and whether its streams still hold what that needs (ADR 7). Pure."""
