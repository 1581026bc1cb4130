//! What the file system says of a file.
