"""Moving: an installation's rows and objects, to another database and another storage."""
