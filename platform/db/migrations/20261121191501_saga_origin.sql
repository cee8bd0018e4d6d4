-- +goose Up
-- On whose behalf a saga goes on after the call that began it: rpc.Origin. Null for what was there before.
ALTER TABLE cleave_saga ADD COLUMN origin jsonb;

-- +goose Down
ALTER TABLE cleave_saga DROP COLUMN origin;
