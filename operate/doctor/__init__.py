"""`moretta doctor`: checks a deployment from inside, and says what to do."""
