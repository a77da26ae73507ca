"""What npm installs to check the product, and the tests that run it."""
