"""What an operator runs. It imports the services; none of them imports it."""
