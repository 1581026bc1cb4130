//! A local Open Cloud Assets API.
