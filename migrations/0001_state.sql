-- The state of one project at one remote: what is known, what is under way, and what saves work.
--
-- Migrations are append-only: a released file never changes, the next one gets the next number, and `user_version` counts them.
--
-- Forms: times are RFC 3339 text in UTC with all their digits, so that they compare equal after a round trip and a person can read them; what only
-- the file system says is in nanoseconds since 1970. Contents are the 32 bytes of their SHA-256. Booleans are 0 and 1. IDs fit a signed
-- 64-bit integer, as Roblox declares them. Words that Roblox may add to (types, privacy, moderation) have no CHECK, because SQLite can only
-- change one by copying its table; the program reads them strictly. Words that are Macadam's own have one.
-- A CHECK on JSON lets NULL through in so many words: `json_valid(NULL)` is 0 before SQLite 3.43, whose `integrity_check` would find faults.

-- "MACA": tells a state from another program's database.
PRAGMA application_id = 0x4D414341;

-- One row about the state itself.
CREATE TABLE meta (
    id                   INTEGER PRIMARY KEY CHECK (id = 1),
    -- The remote that every ID in here belongs to; another one is refused.
    remote               TEXT NOT NULL CHECK (remote <> ''),
    created_at           TEXT NOT NULL,
    -- Kept apart from `attempts`, so that a number is not given twice after its row was pruned.
    next_attempt         INTEGER NOT NULL DEFAULT 0 CHECK (next_attempt >= 0),
    -- Of the lockfile that was last read or written: an unchanged one is not parsed again.
    lockfile_fingerprint TEXT,
    -- The commit that was checked out when that lockfile was last compared with its history in git; empty without one.
    lockfile_compared    TEXT,
    -- The exclusive or of a digest of each row of `revisions`: tells whether one was lost or changed behind Macadam's back.
    revisions_digest     INTEGER NOT NULL DEFAULT 0,
    -- The lockfile was written, and no command of `--on-change` has ended well since.
    lockfile_unreported      INTEGER NOT NULL DEFAULT 0 CHECK (lockfile_unreported IN (0, 1)),
    -- Since when the lockfile is lost: it was missing though this state had read or written it, and neither has another one been put there since nor has a person agreed to a new one.
    lockfile_lost_since  TEXT,
    -- Of the lockfile that is about to be put in place of a lost one. A crash may leave it there: it is nobody else's then.
    lockfile_coming      TEXT
) STRICT;

-- The addresses that the lockfile had when it was found missing, until there is one again: a new one has those that are still wanted or kept.
CREATE TABLE lockfile_had (
    address TEXT PRIMARY KEY CHECK (address <> '')
) STRICT, WITHOUT ROWID;

-- The proof that there is nothing to do: while its inputs are the same, a plan is empty. Every change of the state deletes it.
CREATE TABLE settled (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    -- A digest of manifest, lockfile, outputs and branch.
    inputs TEXT NOT NULL,
    -- A digest of git's commit and index; '' where the index changed too recently to show another change.
    git    TEXT NOT NULL,
    -- The commit that plain later commits may lead away from; NULL: another one ends the proof.
    at_commit TEXT,
    -- ["<path>", …]: the files that the index had and that commit lacks.
    staged TEXT CHECK ((staged IS NULL) = (at_commit IS NULL) AND (staged IS NULL OR json_valid(staged))),
    -- A digest of the names and fingerprints of all files.
    files  TEXT NOT NULL,
    -- How many assets the manifest has.
    assets INTEGER NOT NULL CHECK (assets >= 0),
    -- The times between which the clock alone makes no plan.
    since  TEXT NOT NULL,
    until  TEXT NOT NULL,
    -- What is kept of each part of the digest of all files, by which it is known which of them changed.
    parts  BLOB NOT NULL,
    -- ["<path>", …]: the lockfile and these files changed too recently for their times to show another change. NULL: nothing did.
    recent TEXT CHECK (recent IS NULL OR json_valid(recent))
) STRICT;

-- The status of each address of that project, some hundred a row. Without the proof these rows mean nothing, and the next one replaces them.
CREATE TABLE settled_rows (
    -- The first address.
    first TEXT PRIMARY KEY,
    rows  BLOB NOT NULL
) STRICT;

-- What is known of each address, apart from its revisions.
CREATE TABLE assets (
    address        TEXT PRIMARY KEY CHECK (address <> ''),
    asset_type     TEXT NOT NULL,
    creator        TEXT NOT NULL,
    privacy        TEXT NOT NULL,
    path           TEXT NOT NULL,
    -- {"<field>": "<digest>"}: the metadata that was last asked for and stored.
    asked          TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(asked)),
    -- The same form, only of fields for which Roblox stored something else than was asked.
    stored         TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(stored)),
    -- The same form: what Roblox was known to have before a newer lockfile named something else.
    overruled      TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(overruled)),
    points_to      INTEGER CHECK (points_to > 0),
    -- The last rollback: what was asked for, the revision that became current by it, and the newest that was known then; 0 is no version.
    pin            TEXT,
    pinned_asset   INTEGER CHECK (pinned_asset > 0),
    pinned_version INTEGER CHECK (pinned_version >= 0),
    pinned_newest  INTEGER CHECK (pinned_newest >= 0),
    -- When it left the manifest.
    removed_at     TEXT,
    -- 0: the lockfile of this checkout doesn't have it. 1: an upload of it was begun, and no
    -- lockfile was written with it since. 2: the lockfile has it.
    in_lockfile    INTEGER NOT NULL DEFAULT 0 CHECK (in_lockfile IN (0, 1, 2)),
    -- The checkout in which that upload was begun: "branch NAME" or "commit ID". NULL: there is no
    -- git, or it doesn't tell.
    begun_in       TEXT CHECK (begun_in IS NULL OR in_lockfile = 1),
    CHECK ((pin IS NULL) = (pinned_asset IS NULL) AND (pin IS NULL) = (pinned_version IS NULL)
        AND (pin IS NULL) = (pinned_newest IS NULL))
) STRICT, WITHOUT ROWID;

-- Every value that was asked for so far, by which an older lockfile is known from a newer one.
CREATE TABLE asked_before (
    address TEXT NOT NULL REFERENCES assets (address) ON DELETE CASCADE ON UPDATE CASCADE,
    field   TEXT NOT NULL,
    digest  TEXT NOT NULL CHECK (length(digest) = 16),
    PRIMARY KEY (address, field, digest)
) STRICT, WITHOUT ROWID;

-- The history. Facts only grow, but for the state, which is what Roblox said last; rows only leave when a person forgets the address.
CREATE TABLE revisions (
    address   TEXT NOT NULL REFERENCES assets (address) ON DELETE CASCADE ON UPDATE CASCADE,
    asset_id  INTEGER NOT NULL CHECK (asset_id > 0),
    -- Roblox's revisionId; 0 where Roblox counts no versions (a key column can't be NULL).
    version   INTEGER NOT NULL CHECK (version >= 0),
    ordinal   INTEGER NOT NULL CHECK (ordinal >= 0),
    -- NULL: made elsewhere, the bytes are unknown.
    content   BLOB CHECK (length(content) = 32),
    state     TEXT NOT NULL CHECK (state IN ('unverified', 'reviewing', 'live', 'rejected', 'gone')),
    -- How often Roblox took its word on the state back.
    round     INTEGER NOT NULL CHECK (round >= 0),
    shared    INTEGER NOT NULL CHECK (shared IN (0, 1)),
    -- What the asset is, for good.
    asset_type TEXT NOT NULL,
    creator   TEXT NOT NULL,
    -- Two sources contradict each other.
    disputed  INTEGER NOT NULL CHECK (disputed IN (0, 1)),
    -- How often its asset had been forgotten when it became known.
    era       INTEGER NOT NULL CHECK (era >= 0),
    made_at   TEXT,
    origin    TEXT CHECK (origin IN ('create', 'update_content', 'replace', 'rollback', 'import', 'elsewhere')),
    PRIMARY KEY (address, asset_id, version),
    CHECK ((made_at IS NULL) = (origin IS NULL))
) STRICT, WITHOUT ROWID;

-- How the lockfile of this checkout has each asset: what decides among equals.
CREATE TABLE listed (
    address   TEXT NOT NULL REFERENCES assets (address) ON DELETE CASCADE ON UPDATE CASCADE,
    asset_id  INTEGER NOT NULL CHECK (asset_id > 0),
    duplicate INTEGER NOT NULL CHECK (duplicate IN (0, 1)),
    PRIMARY KEY (address, asset_id)
) STRICT, WITHOUT ROWID;

-- The assets that a person told an address to forget, and how often. Outlives the address, so that no lockfile brings them back.
CREATE TABLE forgotten (
    address  TEXT NOT NULL CHECK (address <> ''),
    asset_id INTEGER NOT NULL CHECK (asset_id > 0),
    times    INTEGER NOT NULL CHECK (times > 0),
    PRIMARY KEY (address, asset_id)
) STRICT, WITHOUT ROWID;

-- Assets of an address that are to be archived, or were.
CREATE TABLE retirements (
    address     TEXT NOT NULL REFERENCES assets (address) ON DELETE CASCADE ON UPDATE CASCADE,
    asset_id    INTEGER NOT NULL CHECK (asset_id > 0),
    why         TEXT NOT NULL CHECK (why IN ('replaced', 'removed', 'by_hand')),
    -- Archiving waits from then on.
    since       TEXT NOT NULL,
    -- NULL while it is still to come.
    archived_at TEXT,
    -- Roblox's words if it refused the archiving, which then waits for a person.
    refused     TEXT,
    PRIMARY KEY (address, asset_id)
) STRICT, WITHOUT ROWID;

-- Uploads of an address that may have made an asset which nobody knows. Rows only leave when a person forgets the address.
CREATE TABLE possible_duplicates (
    address TEXT NOT NULL REFERENCES assets (address) ON DELETE CASCADE ON UPDATE CASCADE,
    -- The random name of the upload, in hex.
    upload  TEXT NOT NULL CHECK (length(upload) = 16),
    content BLOB NOT NULL CHECK (length(content) = 32),
    -- 1: it is known by now what came of it.
    settled INTEGER NOT NULL CHECK (settled IN (0, 1)),
    PRIMARY KEY (address, upload)
) STRICT, WITHOUT ROWID;

-- What was put back after somebody else changed it, within the last day: a bound for every day.
CREATE TABLE repairs (
    address TEXT NOT NULL REFERENCES assets (address) ON DELETE CASCADE ON UPDATE CASCADE,
    at      TEXT NOT NULL,
    repair  TEXT NOT NULL CHECK (repair IN ('metadata', 'archived'))
) STRICT;

CREATE INDEX repairs_of_address ON repairs (address);

-- Why an address waits although something is to do.
CREATE TABLE blocked (
    address  TEXT PRIMARY KEY REFERENCES assets (address) ON DELETE CASCADE ON UPDATE CASCADE,
    input_digest TEXT NOT NULL,
    message  TEXT NOT NULL,
    -- When it was refused, or when it is due again.
    at       TEXT NOT NULL,
    -- Of a refusal: the action that was refused, and what Roblox objected to.
    action   TEXT CHECK (action IN ('create', 'replace', 'update_content', 'update_metadata', 'rollback', 'archive',
        'restore')),
    refusal_kind TEXT CHECK (refusal_kind IN ('display_name', 'price', 'other') OR refusal_kind GLOB 'price [0-9]*'),
    -- Of something that may go better: how often it failed in a row.
    failures INTEGER CHECK (failures >= 0),
    -- And how many of them were creates that may have left an unknown asset.
    in_doubt INTEGER CHECK (in_doubt >= 0),
    CHECK ((action IS NULL) <> (failures IS NULL)),
    CHECK ((action IS NULL) = (refusal_kind IS NULL)),
    CHECK ((failures IS NULL) = (in_doubt IS NULL))
) STRICT, WITHOUT ROWID;

-- Upload quotas that are used up: nothing of the kind is uploaded until then.
CREATE TABLE quotas (
    creator    TEXT NOT NULL,
    asset_type TEXT NOT NULL,
    until      TEXT NOT NULL,
    message    TEXT NOT NULL,
    PRIMARY KEY (creator, asset_type)
) STRICT, WITHOUT ROWID;

-- Each change of the remote that was ever tried, written down before its first byte. Closed ones stay a while for a person who wants to know
-- what happened.
CREATE TABLE attempts (
    id         INTEGER PRIMARY KEY CHECK (id >= 0),
    address    TEXT NOT NULL REFERENCES assets (address) ON DELETE CASCADE ON UPDATE CASCADE,
    -- What the address was when it was begun: an asset of this kind comes of it.
    asset_type TEXT NOT NULL,
    creator    TEXT NOT NULL,
    action     TEXT NOT NULL CHECK (action IN
        ('create', 'replace', 'update_content', 'update_metadata', 'rollback', 'archive', 'restore')),
    -- The asset that is changed, or whose place a new one takes; a create has none yet.
    asset_id   INTEGER CHECK (asset_id > 0),
    content    BLOB CHECK (length(content) = 32),
    -- {"<field>": "<digest>"}: the metadata that is sent.
    fields     TEXT CHECK (fields IS NULL OR json_valid(fields)),
    -- Of a create: its random name, in hex, and whether it has a quota or a fee.
    upload     TEXT CHECK (length(upload) = 16),
    costly     INTEGER CHECK (costly IN (0, 1)),
    -- Of a content update: the newest version known before. Of a rollback: the version to make current.
    version    INTEGER CHECK (version > 0),
    begun_at   TEXT NOT NULL,
    -- 1: it was begun elsewhere, and begun_at is when the lockfile was read.
    taken_over INTEGER NOT NULL DEFAULT 0 CHECK (taken_over IN (0, 1)),
    -- NULL while it is open.
    ending     TEXT CHECK (ending IN ('done', 'refused', 'not_carried_out', 'abandoned')),
    CHECK ((asset_id IS NULL) = (action = 'create')),
    CHECK ((content IS NOT NULL) = (action IN ('create', 'replace', 'update_content'))),
    CHECK ((costly IS NOT NULL) = (action IN ('create', 'replace'))),
    CHECK ((upload IS NOT NULL) = (action IN ('create', 'replace')))
) STRICT;

CREATE INDEX attempts_open ON attempts (id) WHERE ending IS NULL;
CREATE INDEX attempts_of_address ON attempts (address);

-- What moved each attempt, in order. The phase is not stored: it is replayed from here through the one transition function.
CREATE TABLE journal (
    attempt   INTEGER NOT NULL REFERENCES attempts (id) ON DELETE CASCADE,
    step      INTEGER NOT NULL CHECK (step >= 0),
    event     TEXT NOT NULL CHECK (event IN
        ('hand_over', 'accept', 'complete', 'refuse', 'not_carried_out', 'set_aside', 'doubt', 'hold', 'abandon', 'recover')),
    operation TEXT,
    at        TEXT NOT NULL,
    PRIMARY KEY (attempt, step),
    CHECK ((operation IS NOT NULL) = (event = 'accept'))
) STRICT, WITHOUT ROWID;

-- The last description of an asset by the remote. NULL: unknown, or unset there.
CREATE TABLE observations (
    asset_id     INTEGER PRIMARY KEY CHECK (asset_id > 0),
    at           TEXT NOT NULL,
    revision     INTEGER CHECK (revision > 0),
    revision_created_at TEXT,
    asset_type   TEXT,
    creator      TEXT,
    display_name TEXT,
    description  TEXT,
    moderation   TEXT,
    archived     INTEGER CHECK (archived IN (0, 1)),
    -- NULL without links: not asked for. NULL with links: there is none.
    icon         INTEGER CHECK (icon > 0),
    -- [[<asset ID>, <alternative text or null>], …]
    previews     TEXT CHECK (previews IS NULL OR json_valid(previews)),
    -- {"<network>": [<title or null>, "<uri>"], …}
    -- NULL: icon and links were not asked for.
    social_links TEXT CHECK (social_links IS NULL OR json_valid(social_links)),
    CHECK (icon IS NULL OR social_links IS NOT NULL)
) STRICT;

-- Assets that the remote didn't find when it was last asked: one such answer proves nothing.
CREATE TABLE not_found (
    asset_id INTEGER PRIMARY KEY CHECK (asset_id > 0),
    -- How many answers counted, and when the last one did.
    answers  INTEGER NOT NULL CHECK (answers > 0),
    at       TEXT NOT NULL
) STRICT;

-- When Macadam last changed an asset: what is read of it soon after may be how it was before. And when it last restored it, if ever.
CREATE TABLE own_writes (
    asset_id    INTEGER PRIMARY KEY CHECK (asset_id > 0),
    at          TEXT NOT NULL,
    restored_at TEXT
) STRICT;

-- Assets of which what was seen is older than something that became known since: they are looked at again before anything is concluded.
CREATE TABLE outdated (
    asset_id INTEGER PRIMARY KEY CHECK (asset_id > 0)
) STRICT;

-- Assets that another lockfile has as archived and the checked-out one doesn't, until Roblox describes them: no lockfile gets that archiving.
CREATE TABLE contradicted (
    asset_id INTEGER PRIMARY KEY CHECK (asset_id > 0)
) STRICT;

-- What a person may want to read later. Outlives the address it speaks of; the oldest rows are pruned.
CREATE TABLE events (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at      TEXT NOT NULL,
    address TEXT,
    kind    TEXT NOT NULL,
    message TEXT NOT NULL
) STRICT;

CREATE INDEX events_of_address ON events (address, id);

-- The names that assets had before they were renamed, so that a person who types an old one learns the new one; the oldest rows are pruned.
CREATE TABLE former_names (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    former  TEXT NOT NULL UNIQUE CHECK (former <> ''),
    address TEXT NOT NULL REFERENCES assets (address) ON DELETE CASCADE ON UPDATE CASCADE
) STRICT;

CREATE INDEX former_names_of_address ON former_names (address);

-- What other commands ask of a running service, which takes a request, carries it out, and answers. Arguments and answer are JSON.
CREATE TABLE requests (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    asked_at    TEXT NOT NULL,
    command     TEXT NOT NULL CHECK (command <> ''),
    arguments   TEXT NOT NULL CHECK (json_valid(arguments)),
    -- Set when the service begins with it, so that a crash in between is seen.
    taken_at    TEXT,
    answered_at TEXT,
    succeeded   INTEGER CHECK (succeeded IN (0, 1)),
    answer      TEXT CHECK (answer IS NULL OR json_valid(answer)),
    CHECK (answered_at IS NULL OR taken_at IS NOT NULL),
    CHECK ((answered_at IS NULL) = (succeeded IS NULL))
) STRICT;

CREATE INDEX requests_open ON requests (id) WHERE answered_at IS NULL;

-- Earlier looks at files. Only a speed-up: without a row a file is looked at again.
CREATE TABLE files (
    path         TEXT PRIMARY KEY,
    -- The file system's fingerprint. Device, inode and sizes are unsigned there, and stored as the signed number with the same bits.
    size         INTEGER NOT NULL,
    modified_ns  INTEGER NOT NULL,
    changed_ns   INTEGER NOT NULL,
    inode        INTEGER NOT NULL,
    device       INTEGER NOT NULL,
    looked_at_ns INTEGER NOT NULL,
    -- What the look found …
    content      BLOB CHECK (length(content) = 32),
    content_size INTEGER,
    format       TEXT,
    kind         TEXT CHECK (kind IN ('instances', 'animation', 'image', 'audio', 'video', 'unknown_instances', 'opaque')),
    duration_ns  INTEGER CHECK (duration_ns >= 0),
    sample_rate  INTEGER CHECK (sample_rate >= 0),
    width        INTEGER CHECK (width >= 0),
    height       INTEGER CHECK (height >= 0),
    -- … or why the file can't be used.
    problem      TEXT,
    problem_kind TEXT,
    hint         TEXT,
    CHECK ((problem IS NULL) = (content IS NOT NULL) AND (problem IS NULL) = (problem_kind IS NULL)),
    CHECK ((content IS NULL) = (kind IS NULL) AND (content IS NULL) = (format IS NULL)
        AND (content IS NULL) = (content_size IS NULL))
) STRICT, WITHOUT ROWID;

-- What is left of each budget, so that a new process doesn't overrun the window of the one before it.
CREATE TABLE limits (
    endpoint       TEXT NOT NULL,
    owner          TEXT NOT NULL,
    -- Requests a window, and how many of them are left.
    budget         INTEGER NOT NULL CHECK (budget >= 0),
    remaining      INTEGER NOT NULL CHECK (remaining >= 0),
    window_ends_at TEXT NOT NULL,
    PRIMARY KEY (endpoint, owner)
) STRICT, WITHOUT ROWID;

-- How long earlier operations of a kind took, the oldest first: polls are timed by them.
CREATE TABLE latencies (
    kind     TEXT NOT NULL,
    position INTEGER NOT NULL CHECK (position >= 0),
    -- The age at which the operation was last found running, 0 if it never was, and at which it was done.
    running  INTEGER NOT NULL CHECK (running >= 0),
    millis   INTEGER NOT NULL CHECK (millis >= 0),
    PRIMARY KEY (kind, position)
) STRICT, WITHOUT ROWID;
