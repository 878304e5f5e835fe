-- Progress: what the target knows of every tenant's load. Version 2 (stops are new in it).
--
-- Positions move in the transaction that writes the rows, so this schema and the tenants'
-- schemas are always of one moment. Run under an advisory lock; running it again changes nothing,
-- and running it over an older version makes this one of it.

CREATE SCHEMA IF NOT EXISTS replicator;

CREATE TABLE IF NOT EXISTS replicator.version (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  version integer NOT NULL
);
INSERT INTO replicator.version (version) VALUES (2) ON CONFLICT (only_row) DO UPDATE SET version = excluded.version;

CREATE TABLE IF NOT EXISTS replicator.tenants (
  tenant text PRIMARY KEY,
  schema_name text NOT NULL UNIQUE,
  log_id text NOT NULL,                          -- identity of the log; another log behind the same name is refused
  prefix text NOT NULL,
  accepted_digest text,                          -- migration that replay --reapply accepted in place of a generation's own
  reapply boolean NOT NULL DEFAULT false,        -- rows of the same instant are written again; cleared when the newest generation ends
  made_schema boolean NOT NULL,                  -- false: somebody else made it; its constraints stay as they are
  made_organization boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS replicator.generations (
  tenant text NOT NULL REFERENCES replicator.tenants ON DELETE CASCADE,
  generation integer NOT NULL,
  instant timestamptz NOT NULL,                  -- of its newest snapshot
  state text NOT NULL CHECK (state IN ('running', 'ended', 'abandoned')),
  is_partial boolean NOT NULL,
  is_published boolean NOT NULL DEFAULT false,   -- snapshot-finished has been read
  is_prepared boolean NOT NULL DEFAULT false,    -- pre-data is done; nothing is applied before
  whole boolean,                                 -- ended without open quarantine; NULL until it has ended
  catalogue text NOT NULL,                       -- schemas.catalogue.Catalogue.to_json()
  table_order text[] NOT NULL,
  migration_digest text NOT NULL,
  known_at timestamptz NOT NULL DEFAULT now(),
  prepared_at timestamptz,                       -- loading could begin
  loaded_at timestamptz,                         -- its last table became complete
  ended_at timestamptz,
  PRIMARY KEY (tenant, generation)
);

ALTER TABLE replicator.generations                -- version 2
  ADD COLUMN IF NOT EXISTS migration_parts text NOT NULL DEFAULT '{}'; -- JSON of schemas.shape: what of the migration says what

CREATE TABLE IF NOT EXISTS replicator.tables (
  tenant text NOT NULL,
  generation integer NOT NULL,
  table_name text NOT NULL,
  attempt integer NOT NULL,                      -- the newest that the control topic names; 0 before the first
  instant timestamptz,                           -- at which that attempt began: migrated_at of its rows
  topic text NOT NULL,
  partitions integer,
  published bigint,                              -- NULL until table-finished has been read
  applied bigint NOT NULL DEFAULT 0,             -- final when complete; while loading the counters are in positions
  quarantined bigint NOT NULL DEFAULT 0,
  pruned bigint NOT NULL DEFAULT 0,
  state text NOT NULL CHECK (state IN ('waiting', 'loading', 'complete', 'applied')),
  was_empty boolean NOT NULL DEFAULT false,      -- when its generation began: COPY goes straight in
  wire_schema text,                              -- JSON of the table-started record's columns
  started_at timestamptz,
  finished_at timestamptz,
  PRIMARY KEY (tenant, generation, table_name),
  FOREIGN KEY (tenant, generation) REFERENCES replicator.generations ON DELETE CASCADE
);

CREATE TABLE IF NOT EXISTS replicator.positions (
  tenant text NOT NULL REFERENCES replicator.tenants ON DELETE CASCADE,
  topic text NOT NULL,
  partition integer NOT NULL,
  next_offset bigint NOT NULL,
  table_name text NOT NULL,
  generation integer NOT NULL DEFAULT 0,         -- of the last record applied
  attempt integer NOT NULL DEFAULT 0,
  applied bigint NOT NULL DEFAULT 0,             -- rows of that generation and attempt
  quarantined bigint NOT NULL DEFAULT 0,
  batches bigint NOT NULL DEFAULT 0,
  finished_generation integer NOT NULL DEFAULT 0, -- whose table-finished has been applied here
  finished_attempt integer NOT NULL DEFAULT 0,
  committed_offset bigint,                       -- last told to Kafka; less there means somebody set it back
  owner_pid integer,                             -- backend that may move it
  owner_backend_start timestamptz,
  owner_member text,
  updated_at timestamptz NOT NULL DEFAULT now(), -- moved last
  PRIMARY KEY (tenant, topic, partition)
) WITH (fillfactor = 50);                        -- rewritten with every group of batches: keep it on its page

CREATE TABLE IF NOT EXISTS replicator.quarantine (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant text NOT NULL REFERENCES replicator.tenants ON DELETE CASCADE,
  topic text NOT NULL,
  partition integer NOT NULL,
  "offset" bigint NOT NULL,
  row_index integer NOT NULL,                    -- within the batch, from 0
  generation integer NOT NULL,
  attempt integer NOT NULL,
  table_name text NOT NULL,
  key_digest text NOT NULL,                      -- keyed digest of the row's key, '' without a key
  sqlstate text NOT NULL,                        -- '' when a transform refused
  reason text NOT NULL,                          -- never a value
  constraint_name text,
  column_name text,
  kid text NOT NULL DEFAULT '',                  -- key that seals the row, '' when there is none
  sealed_row bytea,                              -- one-row batch (schemas.batch), sealed; NULL without a keyring
  state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'discarded')),
  at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (tenant, topic, partition, "offset", row_index)
);
CREATE INDEX IF NOT EXISTS quarantine_of_table ON replicator.quarantine (tenant, generation, table_name);

-- Where a partition stopped, because the record there cannot be understood. It is over when the position is beyond.
CREATE TABLE IF NOT EXISTS replicator.stops (
  tenant text NOT NULL REFERENCES replicator.tenants ON DELETE CASCADE,
  topic text NOT NULL,
  partition integer NOT NULL,
  "offset" bigint NOT NULL,
  table_name text NOT NULL,
  reason text NOT NULL,                          -- never a value
  hint text NOT NULL,
  member text NOT NULL,                          -- who met the record last; while it owns the partition, nothing moves
  since timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant, topic, partition)
);

CREATE TABLE IF NOT EXISTS replicator.foreign_keys (
  tenant text NOT NULL REFERENCES replicator.tenants ON DELETE CASCADE,
  table_name text NOT NULL,
  name text NOT NULL,
  parent text NOT NULL,
  state text NOT NULL CHECK (state IN ('valid', 'inherited', 'waiting')),
  PRIMARY KEY (tenant, table_name, name)
);

-- Counters of a table at this moment, also while it loads.
CREATE OR REPLACE VIEW replicator.table_progress AS
SELECT t.tenant, t.generation, t.table_name, t.attempt, t.instant, t.topic, t.partitions, t.published,
       CASE WHEN t.state IN ('complete', 'applied') THEN t.applied ELSE coalesce(p.applied, 0) END AS applied,
       CASE WHEN t.state IN ('complete', 'applied') THEN t.quarantined ELSE coalesce(p.quarantined, 0) END AS quarantined,
       t.pruned, t.state, t.was_empty, t.started_at, t.finished_at
FROM replicator.tables t
LEFT JOIN (
  SELECT tenant, table_name, generation, attempt, sum(applied)::bigint AS applied, sum(quarantined)::bigint AS quarantined
  FROM replicator.positions GROUP BY 1, 2, 3, 4
) p USING (tenant, table_name, generation, attempt);
