-- +goose Up
-- create index "mail_recipient" to table: "mail"
CREATE INDEX "mail_recipient" ON "mail" ("recipient");

-- +goose Down
-- reverse: create index "mail_recipient" to table: "mail"
DROP INDEX "mail_recipient";
