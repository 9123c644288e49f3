"""How calls travel: values that say what a call means, and the one module that moves bytes."""
