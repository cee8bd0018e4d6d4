-- +goose Up
-- modify "account" table
ALTER TABLE "account" ADD CONSTRAINT "erased_is_nobody" CHECK (((state)::text <> 'erased'::text) OR ((email IS NULL) AND ((name)::text = ''::text) AND ((password_hash)::text = ''::text)));

-- +goose Down
-- reverse: modify "account" table
ALTER TABLE "account" DROP CONSTRAINT "erased_is_nobody";
