//! From desired, recorded and observed to a plan.
