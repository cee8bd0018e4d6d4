-- +goose Up
-- modify "message" table
ALTER TABLE "message" ADD COLUMN "origin" bytea NULL;

-- +goose Down
-- reverse: modify "message" table
ALTER TABLE "message" DROP COLUMN "origin";
