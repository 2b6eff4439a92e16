"""Files with samples, a module per form; ``auror.learn.samples`` is the door to them."""
