"""Picture: the filters that turn any video track into upright, square-pixelled, standard-range pictures."""
