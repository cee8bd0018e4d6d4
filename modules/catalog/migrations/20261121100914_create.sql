-- +goose Up
-- create "product" table
CREATE TABLE "product" ("id" character varying NOT NULL, "title" character varying NOT NULL, "description" text NOT NULL DEFAULT '', "category" character varying NOT NULL DEFAULT '', "state" character varying NOT NULL, "create_time" timestamptz NOT NULL DEFAULT now(), "update_time" timestamptz NOT NULL DEFAULT now(), PRIMARY KEY ("id"));
-- create index "product_category_id" to table: "product"
CREATE INDEX "product_category_id" ON "product" ("category", "id");
-- create "variant" table
CREATE TABLE "variant" ("sku" character varying NOT NULL, "title" character varying NOT NULL DEFAULT '', "price_amount" bigint NOT NULL, "price_currency" character varying NOT NULL, "price_version" bigint NOT NULL DEFAULT 1, "position" bigint NOT NULL DEFAULT 0, "product_id" character varying NOT NULL, PRIMARY KEY ("sku"), CONSTRAINT "variant_product_variants" FOREIGN KEY ("product_id") REFERENCES "product" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, CONSTRAINT "price_not_negative" CHECK (price_amount >= 0));
-- create index "variant_product_id_position" to table: "variant"
CREATE INDEX "variant_product_id_position" ON "variant" ("product_id", "position");

-- +goose Down
-- reverse: create index "variant_product_id_position" to table: "variant"
DROP INDEX "variant_product_id_position";
-- reverse: create "variant" table
DROP TABLE "variant";
-- reverse: create index "product_category_id" to table: "product"
DROP INDEX "product_category_id";
-- reverse: create "product" table
DROP TABLE "product";
