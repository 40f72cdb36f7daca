"""Functions, triggers and views of schema `auth`, as SQL; `rights` runs them and grants them."""
