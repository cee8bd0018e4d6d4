-- +goose Up
-- modify "order" table
ALTER TABLE "order" ADD COLUMN "open" boolean NOT NULL DEFAULT false;
-- create index "order_open" to table: "order"
CREATE INDEX "order_open" ON "order" ("user_id") WHERE open;
-- create "contact" table
CREATE TABLE "contact" ("order_id" character varying NOT NULL, "email" character varying NOT NULL, "create_time" timestamptz NOT NULL DEFAULT now(), PRIMARY KEY ("order_id"));
-- create index "contact_email" to table: "contact"
CREATE INDEX "contact_email" ON "contact" ("email");
-- where somebody is written to is erased, and never changed
REVOKE UPDATE ON "contact" FROM cleave_orders;

-- +goose Down
-- reverse: create index "contact_email" to table: "contact"
DROP INDEX "contact_email";
-- reverse: create "contact" table
DROP TABLE "contact";
-- reverse: create index "order_open" to table: "order"
DROP INDEX "order_open";
-- reverse: modify "order" table
ALTER TABLE "order" DROP COLUMN "open";
