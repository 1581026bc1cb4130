//! From the text of a manifest to the desired state.
