//! Everything about the remote that is unknown or contested, as switches.
//!
//! Roblox's documents and observations on the wire disagree in places, and both are silent in
//! others. The emulator has no fixed behaviour there: each question is a switch, and the two
//! profiles answer all of them. Where documents and observations disagree, each profile takes its
//! own side. Where nothing is known, the profiles mostly take different sides, so that a test suite
//! that runs under both covers both.
//!
//! This module must never decide anything about a request; `world/` and `wire/` read the switches.
//! Read `world/mod.rs` next.
//!
//! Short names of sources: V1 = the OpenAPI document `reference/cloud/assets/v1.json`, GUIDE =
//! `cloud/guides/usage-assets.md`, ERR = `cloud/reference/errors.md`, AUD = `audio/assets.md`, VID
//! = `ui/video-frames.md`, KEYS = `cloud/auth/api-keys.md` (all of Roblox/creator-docs); the others
//! are public clients: RBXASSET = Roblox/rbxasset, BLENDER = Roblox/roblox-blender-plugin, TARMAC =
//! Roblox/tarmac, RBXCLOUD = Sleitnick/rbxcloud, RBLXOC = treeben77/rblx-open-cloud, OPENBLOX =
//! MightyPart/openblox, BEDROCK = christopher-buss/bedrock, FACET = josha/Facet, TT =
//! typetorch/cli.

use serde::Serialize;

/// The initial values of the switches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// As Roblox's own documents say.
    Documented,
    /// As public clients saw it on the wire.
    #[default]
    Observed,
}

impl Profile {
    /// Returns the profile's name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Profile::Documented => "documented",
            Profile::Observed => "observed",
        }
    }
}

impl std::str::FromStr for Profile {
    type Err = SwitchError;

    fn from_str(text: &str) -> Result<Self, SwitchError> {
        match text {
            "documented" => Ok(Profile::Documented),
            "observed" => Ok(Profile::Observed),
            _ => Err(SwitchError::Profile { given: text.to_owned() }),
        }
    }
}

/// A switch could not be set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SwitchError {
    /// There is no such profile.
    #[error("no profile is called `{given}`: it is `documented` or `observed`")]
    Profile {
        /// The given name.
        given: String,
    },
    /// There is no such switch.
    #[error("no switch is called `{given}`")]
    Name {
        /// The given name.
        given: String,
    },
    /// The switch has no such value.
    #[error("the switch `{name}` can't be `{given}`: it takes {takes}")]
    Value {
        /// The switch.
        name: &'static str,
        /// The given value.
        given: String,
        /// The possible values.
        takes: String,
    },
}

/// One row of the table of switches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SwitchRow {
    /// The name in `--switch NAME=VALUE`.
    pub name: &'static str,
    /// The possible values; `N` stands for a whole number.
    pub values: &'static [&'static str],
    /// Its value in the profile `documented`.
    pub documented: String,
    /// Its value in the profile `observed`.
    pub observed: String,
    /// The subject and the sources.
    pub source: &'static str,
}

macro_rules! switches {
    (
        choices { $( $(#[doc = $source:literal])+ $name:ident: $kind:ident { $( $variant:ident = $text:literal ),+ $(,)? }
            documented $documented:ident, observed $observed:ident; )+ }
        numbers { $( $(#[doc = $nsource:literal])+ $nname:ident documented $ndocumented:literal, observed $nobserved:literal; )+ }
    ) => {
        $(
            $(#[doc = $source])+
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            pub enum $kind { $( #[doc = concat!("Spelled `", $text, "`.")] $variant ),+ }

            impl $kind {
                const NAMES: &'static [&'static str] = &[$( $text ),+];

                /// Returns the value's name on the command line.
                pub fn name(self) -> &'static str {
                    match self { $( $kind::$variant => $text ),+ }
                }

                fn parse(text: &str) -> Result<Self, SwitchError> {
                    match text {
                        $( $text => Ok($kind::$variant), )+
                        _ => Err(SwitchError::Value {
                            name: stringify!($name),
                            given: text.to_owned(),
                            takes: Self::NAMES.join(" or "),
                        }),
                    }
                }
            }
        )+

        /// The current values.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Switches {
            $( $(#[doc = $source])+ pub $name: $kind, )+
            $( $(#[doc = $nsource])+ pub $nname: u64, )+
        }

        impl Switches {
            /// Returns the values of a profile.
            pub fn of(profile: Profile) -> Self {
                match profile {
                    Profile::Documented => Switches {
                        $( $name: $kind::$documented, )+
                        $( $nname: $ndocumented, )+
                    },
                    Profile::Observed => Switches {
                        $( $name: $kind::$observed, )+
                        $( $nname: $nobserved, )+
                    },
                }
            }

            /// Sets one switch from text.
            ///
            /// # Errors
            /// When the switch doesn't exist, or doesn't have that value.
            pub fn set(&mut self, name: &str, value: &str) -> Result<(), SwitchError> {
                match name {
                    $( stringify!($name) => self.$name = $kind::parse(value)?, )+
                    $( stringify!($nname) => self.$nname = number(stringify!($nname), value)?, )+
                    _ => return Err(SwitchError::Name { given: name.to_owned() }),
                }
                Ok(())
            }

            /// Returns every switch with its current value, in the order of the table.
            pub fn values(&self) -> Vec<(&'static str, String)> {
                vec![
                    $( (stringify!($name), self.$name.name().to_owned()), )+
                    $( (stringify!($nname), self.$nname.to_string()), )+
                ]
            }

            /// Returns the table: every switch with its possible values, its value in both
            /// profiles, and the source.
            pub fn table() -> Vec<SwitchRow> {
                vec![
                    $( SwitchRow {
                        name: stringify!($name),
                        values: $kind::NAMES,
                        documented: $kind::$documented.name().to_owned(),
                        observed: $kind::$observed.name().to_owned(),
                        source: concat!($($source),+).trim_ascii(),
                    }, )+
                    $( SwitchRow {
                        name: stringify!($nname),
                        values: &["N"],
                        documented: $ndocumented.to_string(),
                        observed: $nobserved.to_string(),
                        source: concat!($($nsource),+).trim_ascii(),
                    }, )+
                ]
            }
        }
    };
}

fn number(name: &'static str, value: &str) -> Result<u64, SwitchError> {
    value.parse().map_err(|_| SwitchError::Value { name, given: value.to_owned(), takes: "a whole number".to_owned() })
}

switches! {
    choices {
        /// How a rollback changes the versions: the head points back (the reply recorded by
        /// OPENBLOX has the old number), or a new version gets the old bytes (RBLXOC). V1 leaves it
        /// open.
        rollback: Rollback { Repoint = "repoint", NewVersion = "new_version" } documented Repoint, observed NewVersion;
        /// A rollback to the version that is current already. Unknown.
        rollback_to_current: RollbackToCurrent { Ok = "ok", BadRequest = "bad_request" } documented Ok, observed BadRequest;
        /// A rollback to a rejected version. Unknown.
        rollback_to_rejected: RollbackToRejected { Ok = "ok", BadRequest = "bad_request" } documented Ok, observed BadRequest;
        /// A rollback of an asset whose type can't be updated. Unknown.
        rollback_of_unversioned: RollbackOfUnversioned { Ok = "ok", BadRequest = "bad_request" } documented Ok, observed BadRequest;
        /// Moderation of the head after a rollback: the old verdict, or a new review. Unknown.
        rollback_moderation: RollbackModeration { Kept = "kept", Reviewed = "reviewed" } documented Kept, observed Kept;
        /// The body that a rollback accepts. V1's schema says multipart, its sample and every
        /// client send JSON; a client falls back from one to the other.
        rollback_body: RollbackBody { Both = "both", Json = "json", Multipart = "multipart" } documented Both, observed Both;
        /// Enum spelling and "@type": prefixed in GUIDE's example and on the wire in 2023; plain
        /// since (FACET, OPENBLOX).
        enum_dialect: EnumDialect { Plain = "plain", Prefixed = "prefixed" } documented Prefixed, observed Plain;
        /// The form of a running operation: only its path (V1, GUIDE, the wire in 2023), or with
        /// operationId and done:false (TARMAC, RBXASSET).
        operation_reply: OperationReply { Full = "full", PathOnly = "path_only" } documented PathOnly, observed Full;
        /// The response to a metadata update: V1 "Operation ID or the updated metadata fields",
        /// example with fields; RBXASSET polls an operation; TT accepts a done one.
        metadata_reply: MetadataReply { Operation = "operation", DoneOperation = "done_operation", Fields = "fields" } documented Fields, observed Operation;
        /// An icon or preview that can't be used: refused at once, or an operation done with
        /// metadata.errors (RBXASSET).
        metadata_failure: MetadataFailure { Refused = "refused", Operation = "operation" } documented Refused, observed Operation;
        /// Metadata without an updateMask. Unknown; all samples send a mask.
        unmasked_metadata: UnmaskedMetadata { Ignored = "ignored", Applied = "applied" } documented Applied, observed Ignored;
        /// Whether a metadata change makes a revision: V1 "every change commits a new version";
        /// RBXASSET's tests say no.
        metadata_revision: MetadataRevision { Unchanged = "unchanged", Bumped = "bumped" } documented Unchanged, observed Unchanged;
        /// A PATCH whose JSON lacks assetId: V1 requires it, all clients send it.
        update_without_asset_id: UpdateWithoutAssetId { Refused = "refused", Accepted = "accepted" } documented Refused, observed Accepted;
        /// Equal bytes in an update make no version (FACET, RBXASSET). Compared with the head, or
        /// with any version: unknown.
        deduplicate: Deduplicate { Head = "head", AnyVersion = "any_version", Never = "never" } documented Head, observed Head;
        /// The types whose content can be updated: V1 "only Models", GUIDE only .fbx; clients
        /// update .rbxm (FACET, TT); a Roblox engineer hinted at animations.
        content_update: ContentUpdate { Models = "models", FbxOnly = "fbx_only", ModelsAndAnimations = "models_and_animations" } documented Models, observed Models;
        /// An update or rollback of an archived asset. Unknown.
        archived_write: ArchivedWrite { Ok = "ok", BadRequest = "bad_request" } documented Ok, observed BadRequest;
        /// Archiving an archived asset, restoring an active one. Unknown.
        archive_again: ArchiveAgain { Ok = "ok", BadRequest = "bad_request" } documented BadRequest, observed Ok;
        /// Archiving a rejected asset. Unknown.
        archive_rejected: ArchiveRejected { Ok = "ok", BadRequest = "bad_request" } documented Ok, observed BadRequest;
        /// The types that can be archived: the documents say "most asset types", but not which.
        archive_types: ArchiveTypes { All = "all", AllButVideo = "all_but_video" } documented AllButVideo, observed All;
        /// GET of an archived asset: V1's schema has state Archived, so presumably it succeeds.
        archived_get: ArchivedGet { Ok = "ok", NotFound = "not_found" } documented Ok, observed Ok;
        /// GET of a rejected asset: moderation "removes" it (documents), yet clients list rejected
        /// uploads with ids.
        rejected_get: RejectedGet { Ok = "ok", NotFound = "not_found" } documented NotFound, observed Ok;
        /// `published` in a version: for places only (V1), yet FACET saw it on a Model.
        published: Published { Present = "present", Absent = "absent" } documented Absent, observed Present;
        /// The list of versions: V1's schema says an array; on the wire it is an object (OPENBLOX,
        /// TT, RBLXOC, FACET). An array can't page.
        versions_body: VersionsBody { Object = "object", Array = "array" } documented Object, observed Object;
        /// Versions of an asset whose type can't be updated. Unknown.
        versions_of_unversioned: VersionsOfUnversioned { Listed = "listed", Empty = "empty", NotFound = "not_found" } documented NotFound, observed Listed;
        /// maxPageSize outside 1 to 50. Unknown.
        page_size_out_of_range: PageSizeOutOfRange { BadRequest = "bad_request", Clamped = "clamped" } documented BadRequest, observed Clamped;
        /// revisionId of a type that can't be updated: RBLXOC says that it may be absent.
        revision_of_unversioned: RevisionOfUnversioned { Present = "present", Absent = "absent" } documented Absent, observed Present;
        /// 64-bit ids in replies: integers in V1, strings on the wire (OPENBLOX).
        ids: Ids { String = "string", Number = "number" } documented Number, observed String;
        /// Unset fields: absent on the wire (OPENBLOX); a plain JSON serializer would write null.
        unset_fields: UnsetFields { Absent = "absent", Null = "null" } documented Null, observed Absent;
        /// `code` in an error: int32 in V1, a string on the wire (TARMAC, RBXASSET, BLENDER).
        error_code: ErrorCode { String = "string", Number = "number" } documented Number, observed String;
        /// Shape of the service's refusals: {code, message} on the wire; ERR also shows
        /// ProblemDetails and {error, message, errorDetails}.
        error_shape: ErrorShape { Status = "status", ProblemDetails = "problem_details", ErrorField = "error_field", Text = "text" } documented Status, observed Status;
        /// A key without the scope: 403 in ERR, 401 in V1's list for create and update. Body
        /// unknown.
        scope_refusal: ScopeRefusal { Service403 = "service_403", Gateway403 = "gateway_403", Problem403 = "problem_403", Gateway401 = "gateway_401" } documented Gateway401, observed Service403;
        /// A key that may not act for the creator: 403 in ERR. Body unknown.
        permission_refusal: PermissionRefusal { Service = "service", Gateway = "gateway", Problem = "problem" } documented Problem, observed Service;
        /// A used-up upload quota. Status and body unknown.
        quota_refusal: QuotaRefusal { ResourceExhausted = "resource_exhausted", InvalidArgument = "invalid_argument", PermissionDenied = "permission_denied" } documented ResourceExhausted, observed InvalidArgument;
        /// Whether a create whose operation fails counts towards the quota. Unknown.
        quota_of_failed: QuotaOfFailed { Counted = "counted", Returned = "returned" } documented Returned, observed Counted;
        /// Whether an update costs the upload fee. Unknown; V1's sample of an update has
        /// expectedPrice.
        update_fee: UpdateFee { Charged = "charged", Free = "free" } documented Charged, observed Free;
        /// The unit of the 1 to 50 of displayName. Unknown.
        name_length_unit: NameLengthUnit { CodePoints = "code_points", Utf16 = "utf16" } documented CodePoints, observed Utf16;
        /// A create without a description: required in V1, accepted on the wire (RBXASSET,
        /// OPENBLOX).
        missing_description: MissingDescription { Accepted = "accepted", Refused = "refused" } documented Accepted, observed Accepted;
        /// `ASSET_TYPE_MODEL` as input. Unknown.
        prefixed_input: PrefixedInput { Accepted = "accepted", Refused = "refused" } documented Accepted, observed Refused;
        /// icon and previews in a create: V1 refuses only social links; not confirmed.
        create_icon_previews: CreateIconPreviews { Accepted = "accepted", Refused = "refused" } documented Accepted, observed Refused;
        /// The part of an upload that decides its format. Unknown; clients send both name and MIME
        /// type.
        format_decided_by: FormatDecidedBy { Mime = "mime", Extension = "extension" } documented Mime, observed Extension;
        /// The assets that a Decal makes: a wrapper around a separate Image of another id (TARMAC,
        /// blake-mealey/mantle#235).
        decal: Decal { WrapsImage = "wraps_image", Single = "single" } documented Single, observed WrapsImage;
        /// The size limit that applies: 20 MB a file (GUIDE), or 30,000,000 bytes for the whole
        /// body (BLENDER#65).
        size_limit: SizeLimit { File20Mb = "file_20mb", Body30Mb = "body_30mb" } documented File20Mb, observed Body30Mb;
        /// Videos up to 3.75 GB (VID) through an endpoint that takes 30 MB. Unknown how.
        large_video: LargeVideo { Accepted = "accepted", Refused = "refused" } documented Accepted, observed Refused;
        /// The status of an unknown operation, 404 or 400 (TT expects either).
        unknown_operation: UnknownOperation { NotFound = "not_found", BadRequest = "bad_request" } documented NotFound, observed NotFound;
        /// Whether another key may read an operation. Unknown.
        operation_readers: OperationReaders { SameOwner = "same_owner", SameKey = "same_key" } documented SameOwner, observed SameOwner;
        /// The form of the x-ratelimit headers: one value, a comma list, or each header sent twice
        /// (BEDROCK).
        rate_limit_headers: RateLimitHeaders { Plain = "plain", List = "list", Repeated = "repeated" } documented Plain, observed List;
        /// The responder when the per-key throttle is full: the service (RESOURCE_EXHAUSTED, the
        /// owner's budget not used up), or the gateway (BEDROCK).
        key_throttle_reply: KeyThrottleReply { Service = "service", Gateway = "gateway" } documented Gateway, observed Service;
    }
    numbers {
        /// Milliseconds for which a fresh operation is unknown: 1 to 2 s, answered with an error
        /// envelope, were seen live; nothing documented.
        operation_visible_after_ms documented 0, observed 1500;
        /// Milliseconds by which reads of an asset lag behind its writes. Nothing documented, and a
        /// store with replicas may.
        reads_behind_ms documented 0, observed 0;
        /// Milliseconds for which a finished operation can be read; 0 is for ever. Unknown.
        operation_retention_ms documented 0, observed 86_400_000;
        /// Audio uploads in 30 days for each creator: 100 in GUIDE, 2000 in AUD.
        audio_quota documented 100, observed 2000;
        /// Video uploads a day for each creator (VID).
        video_quota documented 20, observed 20;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_of_the_table_can_be_set_and_read_back() {
        for profile in [Profile::Documented, Profile::Observed] {
            let mut switches = Switches::of(profile);
            for row in Switches::table() {
                for value in row.values {
                    let value = if *value == "N" { "17" } else { value };
                    switches.set(row.name, value).unwrap();
                    let now = switches.values().into_iter().find(|(name, _)| *name == row.name).unwrap().1;
                    assert_eq!(now, value, "{}", row.name);
                }
            }
        }
    }

    #[test]
    fn the_profiles_match_the_table() {
        for (profile, pick) in [
            (Profile::Documented, (|row: &SwitchRow| row.documented.clone()) as fn(&SwitchRow) -> String),
            (Profile::Observed, |row: &SwitchRow| row.observed.clone()),
        ] {
            let expected: Vec<_> = Switches::table().iter().map(|row| (row.name, pick(row))).collect();
            assert_eq!(Switches::of(profile).values(), expected);
            assert_eq!(profile.name().parse::<Profile>().unwrap(), profile);
        }
    }

    #[test]
    fn invalid_names_and_values_list_the_valid_ones() {
        #[track_caller]
        fn check(name: &str, value: &str, expected: &str) {
            assert_eq!(Switches::of(Profile::Observed).set(name, value).unwrap_err().to_string(), expected);
        }
        check("rolback", "repoint", "no switch is called `rolback`");
        check("rollback", "back", "the switch `rollback` can't be `back`: it takes repoint or new_version");
        check("audio_quota", "-1", "the switch `audio_quota` can't be `-1`: it takes a whole number");
        assert!("live".parse::<Profile>().is_err());
    }
}
