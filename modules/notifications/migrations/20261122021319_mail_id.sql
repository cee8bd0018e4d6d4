-- +goose Up
-- modify "message" table
ALTER TABLE "message" ADD COLUMN "mail_id" character varying NOT NULL DEFAULT '';

-- +goose Down
-- reverse: modify "message" table
ALTER TABLE "message" DROP COLUMN "mail_id";
