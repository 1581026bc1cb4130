//! What state, lockfile and the lockfiles of other branches and machines know together, with the real binary.

mod forgetting;
