-- +goose Up
-- modify "payment" table
ALTER TABLE "payment" ADD COLUMN "caller" character varying NOT NULL DEFAULT '', ADD COLUMN "request_id" character varying NOT NULL DEFAULT '';
-- create index "payment_caller_request_id" to table: "payment"
CREATE UNIQUE INDEX "payment_caller_request_id" ON "payment" ("caller", "request_id") WHERE ((request_id)::text <> ''::text);

-- +goose Down
-- reverse: create index "payment_caller_request_id" to table: "payment"
DROP INDEX "payment_caller_request_id";
-- reverse: modify "payment" table
ALTER TABLE "payment" DROP COLUMN "request_id", DROP COLUMN "caller";
