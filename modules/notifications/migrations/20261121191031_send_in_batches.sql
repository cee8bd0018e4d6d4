-- +goose Up
-- modify "message" table
ALTER TABLE "message" ADD COLUMN "next_time" timestamptz NOT NULL DEFAULT now();
-- create index "message_next_time" to table: "message"
CREATE INDEX "message_next_time" ON "message" ("next_time") WHERE ((state)::text = ANY ((ARRAY['queued'::character varying, 'sending'::character varying])::text[]));

-- +goose Down
-- reverse: create index "message_next_time" to table: "message"
DROP INDEX "message_next_time";
-- reverse: modify "message" table
ALTER TABLE "message" DROP COLUMN "next_time";
