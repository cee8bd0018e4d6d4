-- +goose Up
-- modify "message" table
ALTER TABLE "message" ADD COLUMN "about" character varying NOT NULL DEFAULT '';

-- +goose Down
-- reverse: modify "message" table
ALTER TABLE "message" DROP COLUMN "about";
