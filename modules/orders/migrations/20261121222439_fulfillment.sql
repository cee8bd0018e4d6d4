-- +goose Up
-- create "fulfillment" table
CREATE TABLE "fulfillment" ("id" character varying NOT NULL, "order_id" character varying NOT NULL, "lines" jsonb NOT NULL, "tracking_code" character varying NOT NULL DEFAULT '', "create_time" timestamptz NOT NULL DEFAULT now(), PRIMARY KEY ("id"));
-- create index "fulfillment_order_id_id" to table: "fulfillment"
CREATE UNIQUE INDEX "fulfillment_order_id_id" ON "fulfillment" ("order_id", "id");
-- create "reversal" table
CREATE TABLE "reversal" ("id" character varying NOT NULL, "order_id" character varying NOT NULL, "kind" character varying NOT NULL, "state" character varying NOT NULL, "lines" jsonb NOT NULL, "discard" boolean NOT NULL, "reason" character varying NOT NULL DEFAULT '', "refund" bigint NOT NULL, "create_time" timestamptz NOT NULL DEFAULT now(), PRIMARY KEY ("id"), CONSTRAINT "refund_not_negative" CHECK (refund >= 0));
-- create index "reversal_order_id_id" to table: "reversal"
CREATE UNIQUE INDEX "reversal_order_id_id" ON "reversal" ("order_id", "id");
-- what has left the house is never changed, and what goes back only in how far it has come
REVOKE UPDATE, DELETE ON "fulfillment" FROM cleave_orders;
REVOKE DELETE ON "reversal" FROM cleave_orders;

-- +goose Down
-- reverse: create index "reversal_order_id_id" to table: "reversal"
DROP INDEX "reversal_order_id_id";
-- reverse: create "reversal" table
DROP TABLE "reversal";
-- reverse: create index "fulfillment_order_id_id" to table: "fulfillment"
DROP INDEX "fulfillment_order_id_id";
-- reverse: create "fulfillment" table
DROP TABLE "fulfillment";
