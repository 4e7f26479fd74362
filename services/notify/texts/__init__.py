"""What mails, SMS and webhooks say, in the reader's language. Pure."""
