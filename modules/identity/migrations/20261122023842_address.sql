-- +goose Up
-- create "address" table
CREATE TABLE "address" ("id" character varying NOT NULL, "account_id" character varying NOT NULL, "name" character varying NOT NULL, "lines" jsonb NOT NULL, "postal_code" character varying NOT NULL, "city" character varying NOT NULL, "region" character varying NOT NULL, "country" character varying NOT NULL, PRIMARY KEY ("id"));
-- create index "address_account_id_id" to table: "address"
CREATE INDEX "address_account_id_id" ON "address" ("account_id", "id");

-- +goose Down
-- reverse: create index "address_account_id_id" to table: "address"
DROP INDEX "address_account_id_id";
-- reverse: create "address" table
DROP TABLE "address";
