"""The service notify: reads alerts, and sends e-mails, SMS, webhooks and daily reports."""
