//! New asset and operation IDs, which depend on the seed alone. Pure.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Gives each ID once. It is saved with the world, so that a restart repeats none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::emulator) struct Mint {
    seed: u64,
    next_asset: u64,
    operations: u64,
}

/// About where Roblox's IDs are in 2026.
const FIRST_ASSET: u64 = 100_000_000_000;

/// An ID on the wire is an int64. Half of its range is left for the IDs that follow.
const LAST_FIRST_ASSET: u64 = 1 << 62;

impl Mint {
    pub(in crate::emulator) fn new(seed: u64, first_asset: Option<u64>) -> Self {
        let next_asset = first_asset.unwrap_or(FIRST_ASSET + seeded_hash(seed, "start", 0) % 10_000_000_000);
        Mint { seed, next_asset: next_asset.clamp(1, LAST_FIRST_ASSET), operations: 0 }
    }

    /// Returns a new asset ID, above all earlier ones.
    pub(in crate::emulator) fn asset(&mut self) -> u64 {
        let id = self.next_asset;
        self.next_asset = id.saturating_add(1 + seeded_hash(self.seed, "asset", id) % 1000);
        id
    }

    /// Returns a new operation ID in the form of a version 4 UUID.
    pub(in crate::emulator) fn operation(&mut self) -> String {
        self.operations += 1;
        let random = digest(self.seed, "operation", self.operations);
        uuid::Builder::from_random_bytes(random).into_uuid().to_string()
    }

    /// Returns a number that depends on the seed and the last operation, for the spread of
    /// latencies.
    pub(in crate::emulator) fn spread(&self) -> u64 {
        seeded_hash(self.seed, "spread", self.operations)
    }
}

fn digest(seed: u64, what: &str, number: u64) -> [u8; 16] {
    let digest =
        Sha256::new().chain_update(seed.to_le_bytes()).chain_update(what).chain_update(number.to_le_bytes()).finalize();
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    bytes
}

/// Returns a number that looks random and is the same for the same arguments.
pub(in crate::emulator) fn seeded_hash(seed: u64, what: &str, number: u64) -> u64 {
    u128::from_le_bytes(digest(seed, what, number)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_rise_differ_and_depend_on_the_seed_alone() {
        let (mut one, mut two, mut other) = (Mint::new(1, None), Mint::new(1, None), Mint::new(2, None));
        let assets: Vec<u64> = (0..100).map(|_| one.asset()).collect();
        assert!(assets.is_sorted_by(|a, b| a < b) && assets[0] >= FIRST_ASSET);
        assert_eq!(assets, (0..100).map(|_| two.asset()).collect::<Vec<_>>());
        assert_ne!(assets[0], other.asset());
        let (first, second) = (one.operation(), one.operation());
        assert_ne!(first, second);
        assert_eq!(first, two.operation());
        assert_eq!(uuid::Uuid::parse_str(&first).unwrap().get_version_num(), 4);
    }

    #[test]
    fn ids_above_two_to_the_53_are_possible() {
        assert_eq!(Mint::new(1, Some((1 << 53) + 1)).asset(), 9_007_199_254_740_993);
        assert_eq!(Mint::new(1, Some(u64::MAX)).asset(), LAST_FIRST_ASSET);
        assert_eq!(Mint::new(1, Some(0)).asset(), 1);
    }
}
