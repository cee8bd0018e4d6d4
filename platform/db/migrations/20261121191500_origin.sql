-- +goose Up
-- On whose behalf something goes on after the call that began it: rpc.Origin and rpc.EncodePrincipal. Null for what was there before.
ALTER TABLE cleave_event ADD COLUMN principal text;
ALTER TABLE cleave_saga ADD COLUMN origin jsonb;

-- +goose Down
ALTER TABLE cleave_saga DROP COLUMN origin;
ALTER TABLE cleave_event DROP COLUMN principal;
