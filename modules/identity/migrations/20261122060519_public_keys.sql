-- +goose Up
-- modify "signing_key" table
ALTER TABLE "signing_key" ADD COLUMN "public" bytea NULL;

-- +goose Down
-- reverse: modify "signing_key" table
ALTER TABLE "signing_key" DROP COLUMN "public";
