"""Engine: drives functions through the SDKs' own protocol, durably. Knows nothing of media."""
