-- +goose Up
-- create index "mail_account_id" to table: "mail"
CREATE INDEX "mail_account_id" ON "mail" ("account_id");

-- +goose Down
-- reverse: create index "mail_account_id" to table: "mail"
DROP INDEX "mail_account_id";
