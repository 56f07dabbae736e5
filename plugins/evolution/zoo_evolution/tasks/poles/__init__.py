"""A cart that balances one pole or two."""
