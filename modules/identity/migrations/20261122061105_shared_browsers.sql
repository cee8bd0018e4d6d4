-- +goose Up
-- drop index "device_hash" from table: "device"
DROP INDEX "device_hash";
-- create index "device_hash_account_id" to table: "device"
CREATE UNIQUE INDEX "device_hash_account_id" ON "device" ("hash", "account_id");

-- +goose Down
-- reverse: create index "device_hash_account_id" to table: "device"
DROP INDEX "device_hash_account_id";
-- reverse: drop index "device_hash" from table: "device"
CREATE UNIQUE INDEX "device_hash" ON "device" ("hash");
