-- +goose Up
-- On whose behalf an event was published: rpc.EncodePrincipal. Null for what was there before.
ALTER TABLE cleave_event ADD COLUMN principal text;

-- +goose Down
ALTER TABLE cleave_event DROP COLUMN principal;
