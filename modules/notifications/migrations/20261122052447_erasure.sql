-- +goose Up
-- create index "mail_recipient" to table: "mail"
CREATE INDEX "mail_recipient" ON "mail" ("recipient");
-- create index "message_about" to table: "message"
CREATE INDEX "message_about" ON "message" ("about") WHERE (((recipient)::text = ''::text) OR starts_with((recipient)::text, 'gst_'::text));

-- +goose Down
-- reverse: create index "message_about" to table: "message"
DROP INDEX "message_about";
-- reverse: create index "mail_recipient" to table: "mail"
DROP INDEX "mail_recipient";
