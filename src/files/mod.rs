//! Asset files: walk, fingerprint, hash, inspect.
