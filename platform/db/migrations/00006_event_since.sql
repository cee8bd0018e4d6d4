-- +goose Up
-- For each type, since when every event of it is owed to the subscriber: what was published earlier may have been passed over.
ALTER TABLE cleave_subscriber ADD COLUMN since jsonb NOT NULL DEFAULT '{}';
UPDATE cleave_subscriber SET since = (SELECT coalesce(jsonb_object_agg(type, now()), '{}') FROM jsonb_object_keys(types) AS type);

-- +goose Down
ALTER TABLE cleave_subscriber DROP COLUMN since;
