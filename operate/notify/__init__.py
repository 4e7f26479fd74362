"""`moretta notify status|test|replay` and `moretta silence`: what people were told, and what is held back."""
