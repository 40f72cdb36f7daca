"""Functions, triggers and views of schema `auth`, as SQL; `storage.rights` runs them and grants them."""
