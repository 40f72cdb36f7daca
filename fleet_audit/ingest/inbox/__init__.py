"""From a listing of the inbox to files on record: which are new and settled, what each gives, which days it touches."""
