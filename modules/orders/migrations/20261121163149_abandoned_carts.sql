-- +goose Up
-- create index "cart_create_time" to table: "cart"
CREATE INDEX "cart_create_time" ON "cart" ("create_time") WHERE ((state)::text = 'active'::text);

-- +goose Down
-- reverse: create index "cart_create_time" to table: "cart"
DROP INDEX "cart_create_time";
