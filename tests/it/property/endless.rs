//! An upload whose operation never ends at Roblox, and what becomes of it forty minutes later: a
//! person sends it again or forgets its address, or its file changes.

use std::time::Duration;

use macadam::emulator::{ApiEndpoint, FaultAction, FaultRule, OperationFault};

use super::Walk;
use super::known::Known;

/// Longer than any operation that succeeds.
const FORTY_MINUTES: u32 = 40;

impl Walk {
    /// The next upload of a new asset never ends.
    pub(super) fn endless(&mut self) {
        self.log.push("the next upload of a new asset never ends".to_owned());
        let rule = FaultRule::on(ApiEndpoint::CreateAsset, FaultAction::Operation(OperationFault::Endless)).times(1);
        self.remote.control().add_faults(vec![rule]).unwrap();
        self.edit();
        self.sync_within(&["--patience", "1s", "--timeout", "5s"], None);
        // Also where nothing was uploaded: it would hold up some later run.
        self.remote.control().clear_faults();
        self.project.pass(FORTY_MINUTES.into());
        self.remote.control().advance(Duration::from_secs(60 * u64::from(FORTY_MINUTES)));
        let known = Known::state(&self.project);
        let (wanted, kept) = (self.tree.wanted(), self.known_of_lockfile());
        for (address, submitted, content) in &known.open {
            if !submitted || !wanted.contains_key(address) {
                continue;
            }
            // Other machines' knowledge of a forgotten address is checked elsewhere.
            let is_new = !known.has(address) && !kept.has(address);
            match self.rng.u8(..3) {
                0 => {
                    let told = self.tree.change(address, &mut self.rng);
                    self.log.push(format!("{address} never ends: {told}"));
                    self.tree.check_out(&self.project);
                }
                1 if is_new => {
                    self.log.push(format!("{address} never ends: forget it"));
                    self.project.run(&["forget", "--yes", address]).expect(0);
                    // Its late asset belongs to no address, by a person's own word.
                    self.left.push(content.clone());
                }
                _ => {
                    self.log.push(format!("{address} never ends: send it again"));
                    self.project.run(&["resolve", address, "--recreate"]).expect(0);
                }
            }
        }
        self.sync(None);
    }
}
