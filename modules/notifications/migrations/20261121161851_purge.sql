-- +goose Up
-- mails are removed with the message that they belong to, when it is old
GRANT DELETE ON "mail" TO cleave_notifications;

-- +goose Down
REVOKE DELETE ON "mail" FROM cleave_notifications;
