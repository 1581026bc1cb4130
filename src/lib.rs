//! Macadam keeps a game's assets on Roblox in step with files in git.
//!
//! ARCHITECTURE.md is the map; the modules stand here in reading order.

// So that the compiler sees what is dead.
#![warn(unreachable_pub)]

pub(crate) mod model;

pub(crate) mod files;
pub(crate) mod manifest;
pub(crate) mod moving;
pub(crate) mod outputs;
pub(crate) mod plan;

pub(crate) mod cloud;
pub(crate) mod state;

pub(crate) mod engine;

pub(crate) mod platform;
pub(crate) mod telemetry;

pub mod cli;

pub mod emulator;

/// The inner parts that the whole-program tests and the fuzz targets drive. They are no API.
#[doc(hidden)]
pub mod testing {
    pub mod cloud {
        pub use crate::cloud::base::BaseUrl;
        pub use crate::cloud::client::Client;
        pub use crate::cloud::failure::Failure;
        pub use crate::cloud::limits::LimitSample;
        pub use crate::cloud::secret::Credential;
        pub use crate::cloud::timeouts::Timeouts;
        pub use crate::cloud::wire::asset::read_asset;
        pub use crate::cloud::wire::error::ErrorBody;
        pub use crate::cloud::wire::key::read_key;
        pub use crate::cloud::wire::operation::{read_operation, read_submitted};
        pub use crate::cloud::wire::version::{VersionList, read_version};
    }

    pub mod engine {
        pub use crate::engine::commands::request_queue::RequestQueue;
        pub use crate::engine::workspace::project::Project;
        pub use crate::engine::workspace::session::Session;
    }

    pub mod files {
        pub use crate::files::{FilesInProgress, scan, walk};
    }

    pub mod lockfile {
        pub use crate::state::lockfile::{Ledger, import, merge, parse, write};
    }

    pub mod manifest {
        pub use crate::manifest::{parse, remove_pin, render};
    }

    pub mod model {
        pub use crate::model::address::Address;
        pub use crate::model::asset::{AssetType, FileFormat};
        pub use crate::model::change::Change;
        pub use crate::model::checkout::InLockfile;
        pub use crate::model::desired::FileSelection;
        pub use crate::model::file::FileCache;
        pub use crate::model::ids::{AssetId, Creator, OperationId};
        pub use crate::model::path::ProjectPath;
        pub use crate::model::recorded::{Identity, Recorded};
        pub use crate::model::request::{ProblemKind, Request, RequestDone, RequestId, RequestProblem, Resolution};
    }

    pub mod state {
        pub use crate::state::StateError;
        pub use crate::state::lock::SERVICE;
        pub use crate::state::store::{RequestStart, Store};
    }

    pub mod telemetry {
        pub use crate::telemetry::metrics::Metrics;
    }
}
