"""Daily reports: schedule, figures and contents (pure); reading the day, drawing it, writing the mail."""
