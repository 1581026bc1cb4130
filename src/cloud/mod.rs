//! Open Cloud: wire types, client, limits.
