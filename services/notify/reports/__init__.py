"""Daily reports: schedule, figures, phrases and contents (pure); reading the day, drawing it, writing the mail."""
