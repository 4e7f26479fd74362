"""How the model is made. In no image and no wheel: it runs from the checkout (`make train`)."""
