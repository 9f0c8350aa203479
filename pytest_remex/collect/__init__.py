"""The phase that brings outputs back and judges them, and what it is made of."""
