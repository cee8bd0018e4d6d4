-- +goose Up
-- modify "transition" table
ALTER TABLE "transition" ADD COLUMN "reason" character varying NOT NULL DEFAULT '', ADD COLUMN "reservation_id" character varying NOT NULL DEFAULT '', ADD COLUMN "payment_id" character varying NOT NULL DEFAULT '';
-- nobody changes or removes what is in the log
REVOKE UPDATE, DELETE ON "transition" FROM cleave_orders;

-- +goose Down
GRANT UPDATE, DELETE ON "transition" TO cleave_orders;
-- reverse: modify "transition" table
ALTER TABLE "transition" DROP COLUMN "payment_id", DROP COLUMN "reservation_id", DROP COLUMN "reason";
