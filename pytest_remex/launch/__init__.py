"""The phase that sends experiments out, and what it is made of."""
