//! A lock that the kernel frees.
