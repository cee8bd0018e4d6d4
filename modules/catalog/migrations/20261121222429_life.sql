-- +goose Up
-- drop index "product_category_id" from table: "product"
DROP INDEX "product_category_id";
-- modify "product" table
ALTER TABLE "product" ADD COLUMN "images" jsonb NOT NULL DEFAULT '[]', ADD COLUMN "version" bigint NOT NULL DEFAULT 1;
-- create index "product_state_category_id" to table: "product"
CREATE INDEX "product_state_category_id" ON "product" ("state", "category", "id");
-- create index "product_state_id" to table: "product"
CREATE INDEX "product_state_id" ON "product" ("state", "id");

-- +goose Down
-- reverse: create index "product_state_id" to table: "product"
DROP INDEX "product_state_id";
-- reverse: create index "product_state_category_id" to table: "product"
DROP INDEX "product_state_category_id";
-- reverse: modify "product" table
ALTER TABLE "product" DROP COLUMN "version", DROP COLUMN "images";
-- reverse: drop index "product_category_id" from table: "product"
CREATE INDEX "product_category_id" ON "product" ("category", "id");
