"""The service notify: alerts in, e-mails out (SMS, webhook and the daily report come later)."""
