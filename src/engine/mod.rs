//! The hands: gather, plan, execute, record.
