"""Makes the modules beside this file (``rounds_kit``) importable from every test folder."""
