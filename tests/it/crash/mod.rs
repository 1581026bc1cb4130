//! Sudden death: the real binary is killed, and run again until it converges.
//!
//! After every death nothing may be lost, nothing doubled but what the policy allows and the state
//! records, the state sound and the lockfile whole. [`points`] kills at every step of the journal,
//! [`byhand`] those of the commands that change one address, [`moments`] at random times from
//! outside, [`held`] looks at creates in doubt that wait for a person, [`alone`] loses the state
//! too, [`signals`] ends runs in order.
//!
//! A longer run of the random kills, `N` rounds each (3 by default), from another seed:
//!
//! ```sh
//! MACADAM_CRASH_ROUNDS=200 MACADAM_CRASH_SEED=7 cargo test --test it crash::moments -- --nocapture
//! ```

mod alone;
mod byhand;
mod held;
mod moments;
mod points;
mod signals;
pub mod stage;
