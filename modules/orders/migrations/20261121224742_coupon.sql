-- +goose Up
-- modify "order" table
ALTER TABLE "order" ADD COLUMN "charges" jsonb NOT NULL DEFAULT '{}';
-- modify "quote" table
ALTER TABLE "quote" ADD COLUMN "charges" jsonb NOT NULL DEFAULT '{}';
-- create "coupon" table
CREATE TABLE "coupon" ("id" character varying NOT NULL, "code" character varying NOT NULL, "percent" integer NOT NULL DEFAULT 0, "amount" bigint NOT NULL DEFAULT 0, "currency" character varying NOT NULL DEFAULT '', "max_uses" bigint NOT NULL DEFAULT 0, "max_uses_per_customer" bigint NOT NULL DEFAULT 0, "uses" bigint NOT NULL DEFAULT 0, "start_time" timestamptz NULL, "end_time" timestamptz NULL, "disabled" boolean NOT NULL DEFAULT false, "create_time" timestamptz NOT NULL DEFAULT now(), PRIMARY KEY ("id"), CONSTRAINT "uses_bounds" CHECK ((uses >= 0) AND ((max_uses = 0) OR (uses <= max_uses))), CONSTRAINT "worth" CHECK (((percent > 0) AND (percent <= 100) AND (amount = 0)) OR ((percent = 0) AND (amount > 0))));
-- create index "coupon_code_key" to table: "coupon"
CREATE UNIQUE INDEX "coupon_code_key" ON "coupon" ("code");
-- create "coupon_use" table
CREATE TABLE "coupon_use" ("order_id" character varying NOT NULL, "coupon_id" character varying NOT NULL, "user_id" character varying NOT NULL, PRIMARY KEY ("order_id"));
-- create index "couponuse_coupon_id_user_id" to table: "coupon_use"
CREATE INDEX "couponuse_coupon_id_user_id" ON "coupon_use" ("coupon_id", "user_id");

-- +goose Down
-- reverse: create index "couponuse_coupon_id_user_id" to table: "coupon_use"
DROP INDEX "couponuse_coupon_id_user_id";
-- reverse: create "coupon_use" table
DROP TABLE "coupon_use";
-- reverse: create index "coupon_code_key" to table: "coupon"
DROP INDEX "coupon_code_key";
-- reverse: create "coupon" table
DROP TABLE "coupon";
-- reverse: modify "quote" table
ALTER TABLE "quote" DROP COLUMN "charges";
-- reverse: modify "order" table
ALTER TABLE "order" DROP COLUMN "charges";
